-- What revision 0028 has, for a database that has nothing. `make schema` writes it, to where it is by hand.
-- Blank lines part statements.
CREATE FUNCTION keep_session_words() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE
        before text[] := '{}';
        after text[] := '{}';
    BEGIN
        IF TG_OP <> 'INSERT' THEN before := tsvector_to_array(old.words); END IF;
        IF TG_OP <> 'DELETE' THEN after := tsvector_to_array(new.words); END IF;
        IF TG_OP <> 'INSERT' THEN
            DELETE FROM session_words AS w
            WHERE w.workspace_id = old.workspace_id AND w.session_id = old.session_id
                AND w.word = ANY (ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(after)));
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO session_words (workspace_id, word, session_id)
            SELECT new.workspace_id, added.word, new.session_id
            FROM (SELECT unnest(after) EXCEPT SELECT unnest(before)) AS added(word);
        END IF;
        RETURN NULL;
    END
    $$;

CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE assistant_services (
    assistant_service_id character varying(255) NOT NULL,
    workspace_id character varying(63) NOT NULL,
    created_by_user_id character varying(255) NOT NULL,
    created_by_user_name text NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    include_in_listing boolean NOT NULL,
    api_key_name character varying(255) NOT NULL,
    api_key_encrypted text,
    url text NOT NULL,
    online_expires timestamp with time zone,
    api_key_expires timestamp with time zone,
    previous_key_encrypted text,
    previous_key_expires timestamp with time zone,
    key_last_used timestamp with time zone,
    told_online boolean DEFAULT false NOT NULL,
    makes_turns boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY assistant_services FORCE ROW LEVEL SECURITY;

CREATE TABLE assistants (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    owner_id character varying(255) NOT NULL,
    assistant_service_id character varying(255) NOT NULL,
    template_id character varying(255) NOT NULL,
    name text NOT NULL,
    image text,
    metadata text NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    default_key character varying(2048),
    service_workspace_id character varying(63) NOT NULL,
    CONSTRAINT ck_assistants_service_workspace CHECK ((((service_workspace_id)::text = (workspace_id)::text) OR ((service_workspace_id)::text = '*'::text)))
);

ALTER TABLE ONLY assistants FORCE ROW LEVEL SECURITY;

CREATE TABLE audit (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    actor_kind character varying(16) NOT NULL,
    actor_id character varying(255) NOT NULL,
    act character varying(64) NOT NULL,
    subject character varying(255) NOT NULL,
    detail text NOT NULL,
    correlation_id character varying(64) NOT NULL
);

ALTER TABLE ONLY audit FORCE ROW LEVEL SECURITY;

CREATE TABLE budget_limits (
    workspace_id character varying(63) NOT NULL,
    scope character varying(16) NOT NULL,
    subject character varying(255) NOT NULL,
    measure character varying(16) NOT NULL,
    period character varying(16) NOT NULL,
    amount bigint,
    anchor character varying(10)
);

ALTER TABLE ONLY budget_limits FORCE ROW LEVEL SECURITY;

CREATE TABLE budget_reservations (
    workspace_id character varying(63) NOT NULL,
    key character varying(255) NOT NULL,
    user_id character varying(255),
    assistant_id uuid,
    tokens bigint NOT NULL,
    cost_micros bigint NOT NULL,
    expires_datetime timestamp with time zone NOT NULL,
    generations bigint DEFAULT '0'::bigint NOT NULL
);

ALTER TABLE ONLY budget_reservations FORCE ROW LEVEL SECURITY;

CREATE TABLE bus_topics (
    topic character varying(170) NOT NULL,
    state character varying(16) NOT NULL,
    subscriptions text NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamp with time zone
);

CREATE TABLE contents (
    workspace_id character varying(63) NOT NULL,
    hash character varying(64) NOT NULL,
    storage_key character varying(255) NOT NULL,
    size bigint NOT NULL,
    touched_datetime timestamp with time zone NOT NULL
);

ALTER TABLE ONLY contents FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_retention (
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    kind character varying(16) NOT NULL,
    seconds bigint NOT NULL
);

ALTER TABLE ONLY conversation_retention FORCE ROW LEVEL SECURITY;

CREATE TABLE conversations (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    title text NOT NULL,
    owner_id character varying(255) NOT NULL,
    imported_from_conversation_id uuid,
    metadata text NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    event_head bigint DEFAULT '0'::bigint NOT NULL,
    message_head bigint DEFAULT '0'::bigint NOT NULL,
    file_bytes bigint DEFAULT '0'::bigint NOT NULL,
    made_by_assistant_id uuid,
    event_floor bigint DEFAULT '0'::bigint NOT NULL
);

ALTER TABLE ONLY conversations FORCE ROW LEVEL SECURITY;

CREATE TABLE dead_letters (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    assistant_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    "position" bigint NOT NULL,
    event_id character varying(32) NOT NULL,
    event_type character varying(64) NOT NULL,
    envelope text NOT NULL,
    reason text NOT NULL,
    failed_datetime timestamp with time zone NOT NULL
);

ALTER TABLE ONLY dead_letters FORCE ROW LEVEL SECURITY;

CREATE TABLE deliveries (
    workspace_id character varying(63) NOT NULL,
    assistant_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    state character varying(16) NOT NULL,
    "position" bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone,
    last_error text
);

ALTER TABLE ONLY deliveries FORCE ROW LEVEL SECURITY;

CREATE TABLE embedding_spaces (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    provider character varying(63) NOT NULL,
    model character varying(255) NOT NULL,
    dims integer NOT NULL,
    algo_version integer NOT NULL,
    state character varying(16) NOT NULL,
    head bigint DEFAULT '0'::bigint NOT NULL,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY embedding_spaces FORCE ROW LEVEL SECURITY;

CREATE TABLE embeddings (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    space_id uuid NOT NULL,
    sequence bigint NOT NULL,
    dims integer NOT NULL,
    text_hash character varying(32) NOT NULL,
    floats real[] NOT NULL
);

ALTER TABLE ONLY embeddings FORCE ROW LEVEL SECURITY;

CREATE TABLE erasures (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    user_id character varying(255),
    user_name text,
    subject character varying(64) NOT NULL,
    policy character varying(16) NOT NULL,
    stage character varying(64) NOT NULL,
    place text,
    counts text NOT NULL,
    begun_datetime timestamp with time zone NOT NULL,
    touched_datetime timestamp with time zone NOT NULL,
    ended_datetime timestamp with time zone,
    version integer DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY erasures FORCE ROW LEVEL SECURITY;

CREATE TABLE events (
    workspace_id character varying(63) NOT NULL,
    feed_position bigint NOT NULL,
    conversation_id uuid,
    "position" bigint NOT NULL,
    id character varying(32) NOT NULL,
    correlation_id character varying(64) NOT NULL,
    type character varying(64) NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    audience character varying(16) NOT NULL,
    data text NOT NULL,
    trace_parent character varying(55)
);

ALTER TABLE ONLY events FORCE ROW LEVEL SECURITY;

CREATE TABLE farewells (
    workspace_id character varying(63) NOT NULL,
    user_id character varying(255) NOT NULL,
    feed_position bigint NOT NULL
);

ALTER TABLE ONLY farewells FORCE ROW LEVEL SECURITY;

CREATE TABLE file_versions (
    workspace_id character varying(63) NOT NULL,
    file_id uuid NOT NULL,
    version integer NOT NULL,
    participant_id character varying(255) NOT NULL,
    participant_role character varying(16) NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    metadata text NOT NULL,
    content_type character varying(255) NOT NULL,
    file_size bigint NOT NULL,
    content_hash character varying(64) NOT NULL,
    storage_filename character varying(255) NOT NULL
);

ALTER TABLE ONLY file_versions FORCE ROW LEVEL SECURITY;

CREATE TABLE files (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    filename text NOT NULL COLLATE pg_catalog."C",
    current_version integer NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    revision integer DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY files FORCE ROW LEVEL SECURITY;

CREATE TABLE flow_blueprints (
    workspace_id character varying(63) NOT NULL,
    name character varying(40) NOT NULL,
    version integer NOT NULL,
    document text NOT NULL,
    created_by character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flow_blueprints FORCE ROW LEVEL SECURITY;

CREATE TABLE flow_hosts (
    host_id character varying(64) NOT NULL,
    services text NOT NULL,
    held text NOT NULL,
    calling text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    offered text DEFAULT '[]'::text NOT NULL,
    offered_version bigint DEFAULT 0 NOT NULL
);

CREATE TABLE flow_parameter_types (
    workspace_id character varying(63) NOT NULL,
    name character varying(40) NOT NULL,
    schema text NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flow_parameter_types FORCE ROW LEVEL SECURITY;

CREATE TABLE flow_topics (
    workspace_id character varying(63) NOT NULL,
    flow_id character varying(40) NOT NULL,
    generation integer NOT NULL,
    topic character varying(170) NOT NULL,
    owned boolean NOT NULL
);

ALTER TABLE ONLY flow_topics FORCE ROW LEVEL SECURITY;

CREATE TABLE flow_versions (
    ledger integer NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE flows (
    workspace_id character varying(63) NOT NULL,
    flow_id character varying(40) NOT NULL,
    generation integer NOT NULL,
    blueprint_name character varying(40) NOT NULL,
    blueprint_version integer NOT NULL,
    description text NOT NULL,
    state character varying(16) NOT NULL,
    parameters text NOT NULL,
    secrets text NOT NULL,
    snapshot text NOT NULL,
    is_withdrawn boolean NOT NULL,
    drain_milliseconds integer NOT NULL,
    error text,
    cleanup text,
    created_by character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    stopping_at timestamp with time zone,
    stopped_at timestamp with time zone
);

ALTER TABLE ONLY flows FORCE ROW LEVEL SECURITY;

CREATE TABLE gone_turns (
    workspace_id character varying(63) NOT NULL,
    pk uuid NOT NULL,
    conversation_id uuid NOT NULL,
    turn_id character varying(128) NOT NULL,
    assistant_id uuid NOT NULL,
    assistant_service_id character varying(255),
    user_id character varying(255),
    gone_at timestamp with time zone NOT NULL,
    is_billed boolean NOT NULL
);

ALTER TABLE ONLY gone_turns FORCE ROW LEVEL SECURITY;

CREATE TABLE idempotency_keys (
    workspace_id character varying(63) NOT NULL,
    caller_role character varying(16) NOT NULL,
    caller_id character varying(255) NOT NULL,
    method character varying(8) NOT NULL,
    route character varying(255) NOT NULL,
    key character varying(128) NOT NULL,
    request_hash character varying(64) NOT NULL,
    claim character varying(32) NOT NULL,
    claimed_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    status integer,
    headers text NOT NULL,
    body text
);

ALTER TABLE ONLY idempotency_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE jobs (
    workspace_id character varying(63) NOT NULL,
    kind character varying(64) NOT NULL,
    key character varying(255) NOT NULL,
    id uuid NOT NULL,
    payload text NOT NULL,
    run_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    claim character varying(32),
    claimed_until timestamp with time zone,
    last_error text,
    created_datetime timestamp with time zone NOT NULL,
    correlation_id character varying(64) DEFAULT ''::character varying NOT NULL,
    trace_parent character varying(55)
);

ALTER TABLE ONLY jobs FORCE ROW LEVEL SECURITY;

CREATE TABLE leases (
    name character varying(255) NOT NULL,
    holder character varying(64) NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE message_debug (
    workspace_id character varying(63) NOT NULL,
    message_id uuid NOT NULL,
    debug_data text NOT NULL
);

ALTER TABLE ONLY message_debug FORCE ROW LEVEL SECURITY;

CREATE TABLE message_parts (
    workspace_id character varying(63) NOT NULL,
    message_id uuid NOT NULL,
    parts text NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY message_parts FORCE ROW LEVEL SECURITY;

CREATE TABLE messages (
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    sender_role character varying(16) NOT NULL,
    sender_id character varying(255) NOT NULL,
    message_type character varying(32) NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    content_type character varying(255) NOT NULL,
    content text NOT NULL,
    filenames text NOT NULL,
    metadata text NOT NULL,
    has_debug_data boolean NOT NULL
);

ALTER TABLE ONLY messages FORCE ROW LEVEL SECURITY;

CREATE TABLE model_assistants (
    workspace_id character varying(63) NOT NULL,
    assistant_id uuid NOT NULL,
    template_id character varying(255) NOT NULL,
    config text NOT NULL
);

ALTER TABLE ONLY model_assistants FORCE ROW LEVEL SECURITY;

CREATE TABLE participants (
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    role character varying(16) NOT NULL,
    id character varying(255) NOT NULL,
    assistant_id uuid,
    name text NOT NULL,
    image text,
    status text,
    status_updated_timestamp timestamp with time zone NOT NULL,
    active_participant boolean NOT NULL,
    conversation_permission character varying(16) NOT NULL,
    metadata text NOT NULL,
    joined_datetime timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY participants FORCE ROW LEVEL SECURITY;

CREATE TABLE playbook_versions (
    workspace_id character varying(63) NOT NULL,
    playbook_id uuid NOT NULL,
    number integer NOT NULL,
    schema character varying(63) NOT NULL,
    source_text text NOT NULL,
    document text NOT NULL,
    content_hash character varying(64) NOT NULL,
    findings text NOT NULL,
    imported_by character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    published_at timestamp with time zone
);

ALTER TABLE ONLY playbook_versions FORCE ROW LEVEL SECURITY;

CREATE TABLE playbooks (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    key character varying(63) NOT NULL,
    title text NOT NULL,
    domain text,
    status character varying(16) NOT NULL,
    current_version integer,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    version integer DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY playbooks FORCE ROW LEVEL SECURITY;

CREATE TABLE psa_connections (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    kind character varying(16) NOT NULL,
    name text NOT NULL,
    config text NOT NULL,
    secret_ciphertext text NOT NULL,
    enabled boolean NOT NULL,
    health character varying(16) NOT NULL,
    checked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone,
    version integer NOT NULL
);

ALTER TABLE ONLY psa_connections FORCE ROW LEVEL SECURITY;

CREATE TABLE psa_push_bodies (
    workspace_id character varying(63) NOT NULL,
    push_id uuid NOT NULL,
    session_id uuid NOT NULL,
    body text NOT NULL,
    people text NOT NULL
);

ALTER TABLE ONLY psa_push_bodies FORCE ROW LEVEL SECURITY;

CREATE TABLE psa_pushes (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    session_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    psa_ticket_id character varying(64) NOT NULL,
    kind character varying(16) NOT NULL,
    visibility character varying(16) NOT NULL,
    author_id character varying(255) NOT NULL,
    marker character varying(63) NOT NULL,
    dedupe_key character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status character varying(16) NOT NULL,
    attempt_count integer NOT NULL,
    manual_attempts integer NOT NULL,
    next_attempt_at timestamp with time zone,
    may_be_there boolean NOT NULL,
    claim character varying(32),
    lease_until timestamp with time zone,
    external_note_id text,
    http_status integer,
    error_code character varying(32),
    posted_at timestamp with time zone,
    correlation_id character varying(64) DEFAULT ''::character varying NOT NULL,
    trace_parent character varying(55)
);

ALTER TABLE ONLY psa_pushes FORCE ROW LEVEL SECURITY;

CREATE TABLE rate_uses (
    workspace_id character varying(63) NOT NULL,
    caller_role character varying(16) NOT NULL,
    caller_id character varying(255) NOT NULL,
    act character varying(64) NOT NULL,
    times text NOT NULL,
    last_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY rate_uses FORCE ROW LEVEL SECURITY;

CREATE TABLE redemptions (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    share_id uuid NOT NULL,
    redeemed_by_user_id character varying(255) NOT NULL,
    conversation_permission character varying(16) NOT NULL,
    new_participant boolean NOT NULL,
    created_datetime timestamp with time zone NOT NULL
);

ALTER TABLE ONLY redemptions FORCE ROW LEVEL SECURITY;

CREATE TABLE resolution_outputs (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    session_version integer NOT NULL,
    kind character varying(16) NOT NULL,
    state character varying(16) NOT NULL,
    content text,
    generated_by character varying(16) NOT NULL,
    error_code character varying(32),
    created_at timestamp with time zone NOT NULL,
    told_at timestamp with time zone,
    people text NOT NULL
);

ALTER TABLE ONLY resolution_outputs FORCE ROW LEVEL SECURITY;

CREATE TABLE session_branches (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    id uuid NOT NULL,
    label text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    parent_branch_id uuid,
    forked_at_step_id uuid,
    status character varying(16) NOT NULL
);

ALTER TABLE ONLY session_branches FORCE ROW LEVEL SECURITY;

CREATE TABLE session_documents (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    place bigint NOT NULL,
    token character varying(32) NOT NULL,
    head text NOT NULL,
    middle text NOT NULL,
    report text NOT NULL,
    said text NOT NULL,
    problem_hash character varying(32) NOT NULL,
    is_current boolean NOT NULL,
    version integer NOT NULL,
    words tsvector GENERATED ALWAYS AS (ts_delete((((setweight(to_tsvector('simple'::regconfig, (head || ' zzgapzz'::text)), 'A'::"char") || setweight(to_tsvector('simple'::regconfig, (middle || ' zzgapzz'::text)), 'B'::"char")) || setweight(to_tsvector('simple'::regconfig, (report || ' zzgapzz'::text)), 'D'::"char")) || setweight(to_tsvector('simple'::regconfig, said), 'D'::"char")), 'zzgapzz'::text)) STORED
);

ALTER TABLE ONLY session_documents FORCE ROW LEVEL SECURITY;

CREATE TABLE session_escalations (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    id uuid NOT NULL,
    requested_by character varying(255) NOT NULL,
    reason text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    urgency character varying(16) NOT NULL,
    rank integer NOT NULL,
    notes text,
    target_user_id character varying(255),
    packet text NOT NULL,
    state character varying(16) NOT NULL,
    picked_up_by character varying(255),
    resume_mode character varying(16),
    additional_context text,
    closed_at timestamp with time zone,
    team_id character varying(255),
    alarmed_at timestamp with time zone
);

ALTER TABLE ONLY session_escalations FORCE ROW LEVEL SECURITY;

CREATE TABLE session_lanes (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    rev integer NOT NULL,
    lane text NOT NULL
);

ALTER TABLE ONLY session_lanes FORCE ROW LEVEL SECURITY;

CREATE TABLE session_playbooks (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    key character varying(63) NOT NULL,
    playbook_id uuid NOT NULL,
    number integer NOT NULL,
    match double precision NOT NULL,
    document text NOT NULL
);

ALTER TABLE ONLY session_playbooks FORCE ROW LEVEL SECURITY;

CREATE TABLE session_steps (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    id uuid NOT NULL,
    branch_id uuid NOT NULL,
    step_order integer NOT NULL,
    step text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    answered_at timestamp with time zone,
    answered_by character varying(255),
    reading text,
    is_unclear boolean NOT NULL,
    note text,
    prompt_message_id uuid,
    answer_message_id uuid,
    superseded_by uuid
);

ALTER TABLE ONLY session_steps FORCE ROW LEVEL SECURITY;

CREATE TABLE session_tickets (
    workspace_id character varying(63) NOT NULL,
    session_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    psa_ticket_id character varying(64) NOT NULL,
    ticket_data text NOT NULL
);

ALTER TABLE ONLY session_tickets FORCE ROW LEVEL SECURITY;

CREATE TABLE session_words (
    workspace_id character varying(63) NOT NULL,
    word text NOT NULL,
    session_id uuid NOT NULL
);

ALTER TABLE ONLY session_words FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    owner_id character varying(255) NOT NULL,
    handler_id character varying(255) NOT NULL,
    session_type character varying(16) NOT NULL,
    intake text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_activity_at timestamp with time zone NOT NULL,
    status character varying(32) NOT NULL,
    resume_status character varying(32),
    title text,
    problem_summary text,
    problem_domain text,
    confidence_score double precision,
    confidence_tier character varying(16),
    step_count integer NOT NULL,
    matched_flow_id uuid,
    playbook_version integer,
    match_score double precision,
    is_branching boolean NOT NULL,
    active_branch_id uuid,
    resolution text,
    abandon_reason text,
    rating integer,
    feedback text,
    resolved_at timestamp with time zone,
    closed_at timestamp with time zone,
    version integer NOT NULL,
    deleted_at timestamp with time zone,
    lease_key character varying(64),
    lease_until timestamp with time zone,
    reopenable_until timestamp with time zone
);

ALTER TABLE ONLY sessions FORCE ROW LEVEL SECURITY;

CREATE TABLE shares (
    id uuid NOT NULL,
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    owner_id character varying(255) NOT NULL,
    label text NOT NULL,
    conversation_permission character varying(16) NOT NULL,
    is_redeemable boolean NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    metadata text NOT NULL,
    token_hash character varying(64),
    expires_datetime timestamp with time zone
);

ALTER TABLE ONLY shares FORCE ROW LEVEL SECURITY;

CREATE TABLE teams (
    workspace_id character varying(63) NOT NULL,
    id character varying(255) NOT NULL,
    seen_datetime timestamp with time zone NOT NULL
);

ALTER TABLE ONLY teams FORCE ROW LEVEL SECURITY;

CREATE TABLE token_usage (
    workspace_id character varying(63) NOT NULL,
    id uuid NOT NULL,
    usage_type character varying(50) DEFAULT 'chat'::character varying NOT NULL,
    turn_pk uuid,
    message_id uuid,
    conversation_id uuid,
    user_id character varying(255),
    assistant_id uuid,
    assistant_service_id character varying(255),
    prompt_tokens bigint DEFAULT '0'::bigint NOT NULL,
    completion_tokens bigint DEFAULT '0'::bigint NOT NULL,
    total_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cached_tokens bigint DEFAULT '0'::bigint NOT NULL,
    reasoning_tokens bigint DEFAULT '0'::bigint NOT NULL,
    cost_micros bigint,
    cost_complete boolean NOT NULL,
    truncated boolean NOT NULL,
    call_count integer NOT NULL,
    model_breakdown text NOT NULL,
    call_details text NOT NULL,
    provisional boolean NOT NULL,
    source character varying(16) NOT NULL,
    usage_day character varying(10) NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    metadata text NOT NULL,
    generations bigint DEFAULT '0'::bigint NOT NULL
);

ALTER TABLE ONLY token_usage FORCE ROW LEVEL SECURITY;

CREATE TABLE token_usage_models (
    workspace_id character varying(63) NOT NULL,
    usage_id uuid NOT NULL,
    model character varying(255) NOT NULL,
    model_ref character varying(255),
    model_id character varying(255),
    display_name character varying(255),
    provider character varying(255),
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    total_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_micros bigint,
    cost_complete boolean NOT NULL,
    calls integer NOT NULL
);

ALTER TABLE ONLY token_usage_models FORCE ROW LEVEL SECURITY;

CREATE TABLE turn_events (
    workspace_id character varying(63) NOT NULL,
    turn_pk uuid NOT NULL,
    seq bigint NOT NULL,
    epoch integer NOT NULL,
    type character varying(32) NOT NULL,
    at timestamp with time zone NOT NULL,
    data text NOT NULL,
    is_superseded boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY turn_events FORCE ROW LEVEL SECURITY;

CREATE TABLE turn_model_calls (
    workspace_id character varying(63) NOT NULL,
    turn_pk uuid NOT NULL,
    call_id character varying(128) NOT NULL,
    epoch integer NOT NULL,
    model character varying(255) NOT NULL,
    model_ref character varying(255),
    model_id character varying(255),
    display_name character varying(255),
    provider character varying(255),
    call_kind character varying(50) NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    total_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost_micros bigint,
    cost_source character varying(16) NOT NULL,
    finish_reason character varying(50),
    latency_ms bigint,
    late boolean DEFAULT false NOT NULL,
    created_datetime timestamp with time zone NOT NULL
);

ALTER TABLE ONLY turn_model_calls FORCE ROW LEVEL SECURITY;

CREATE TABLE turn_slots (
    workspace_id character varying(63) NOT NULL,
    conversation_id uuid NOT NULL,
    turn_id character varying(128) NOT NULL,
    slot character varying(8) NOT NULL,
    message_id uuid NOT NULL
);

ALTER TABLE ONLY turn_slots FORCE ROW LEVEL SECURITY;

CREATE TABLE turn_snapshots (
    workspace_id character varying(63) NOT NULL,
    turn_pk uuid NOT NULL,
    up_to_seq bigint NOT NULL,
    state text NOT NULL
);

ALTER TABLE ONLY turn_snapshots FORCE ROW LEVEL SECURITY;

CREATE TABLE turns (
    workspace_id character varying(63) NOT NULL,
    pk uuid NOT NULL,
    conversation_id uuid NOT NULL,
    turn_id character varying(128) NOT NULL,
    assistant_id uuid NOT NULL,
    initiator_role character varying(16) NOT NULL,
    initiator_id character varying(255) NOT NULL,
    user_id character varying(255),
    assistant_service_id character varying(255),
    parent_turn_id character varying(128),
    producer_kind character varying(16) NOT NULL,
    input_message_id uuid,
    output_message_id uuid NOT NULL,
    input_hash character varying(64) NOT NULL,
    options text NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status character varying(16) NOT NULL,
    finish_reason character varying(16),
    error_code character varying(64),
    error_message text,
    error_detail text,
    epoch integer NOT NULL,
    producer_id character varying(255),
    lease_expires_at timestamp with time zone,
    lease_seconds integer NOT NULL,
    last_seq bigint NOT NULL,
    last_batch bigint NOT NULL,
    log_floor bigint NOT NULL,
    is_published boolean NOT NULL,
    revision bigint NOT NULL,
    cancel_requested_at timestamp with time zone,
    cancel_requested_by character varying(255),
    cancel_count integer NOT NULL,
    usage_state character varying(16) NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    version bigint NOT NULL,
    is_budgeted boolean DEFAULT false NOT NULL,
    watched_until timestamp with time zone,
    log_bytes bigint DEFAULT '0'::bigint NOT NULL,
    folded_bytes bigint DEFAULT '0'::bigint NOT NULL
);

ALTER TABLE ONLY turns FORCE ROW LEVEL SECURITY;

CREATE TABLE users (
    workspace_id character varying(63) NOT NULL,
    id character varying(255) NOT NULL,
    name text NOT NULL,
    image text,
    service_user boolean NOT NULL,
    name_is_chosen boolean NOT NULL,
    created_datetime timestamp with time zone NOT NULL,
    works_on_sessions boolean DEFAULT true NOT NULL,
    team_ids text DEFAULT '[]'::text NOT NULL
);

ALTER TABLE ONLY users FORCE ROW LEVEL SECURITY;

CREATE TABLE workspace_choices (
    workspace_id character varying(63) NOT NULL,
    choice character varying(32) NOT NULL,
    wanted boolean NOT NULL
);

ALTER TABLE ONLY workspace_choices FORCE ROW LEVEL SECURITY;

CREATE TABLE workspace_retention (
    workspace_id character varying(63) NOT NULL,
    kind character varying(16) NOT NULL,
    seconds bigint
);

ALTER TABLE ONLY workspace_retention FORCE ROW LEVEL SECURITY;

CREATE TABLE workspaces (
    workspace_id character varying(63) NOT NULL,
    event_head bigint DEFAULT '0'::bigint NOT NULL,
    event_floor bigint DEFAULT '0'::bigint NOT NULL,
    file_bytes bigint DEFAULT '0'::bigint NOT NULL
);

ALTER TABLE ONLY workspaces FORCE ROW LEVEL SECURITY;

INSERT INTO assistant_services (assistant_service_id, workspace_id, created_by_user_id, created_by_user_name, created_datetime, name, description, include_in_listing, api_key_name, api_key_encrypted, url, online_expires, api_key_expires, previous_key_encrypted, previous_key_expires, key_last_used, told_online, makes_turns) VALUES ('workbench.model', '*', 'semantic-workbench', 'Semantic Workbench Service', '2026-01-01 00:00:00.000001+00', 'Models', 'Assistants that this service hosts itself: language models with instructions and tools.', true, '', NULL, 'workbench:', '9999-01-01 00:00:00.000001+00', NULL, NULL, NULL, NULL, true, true);

INSERT INTO assistant_services (assistant_service_id, workspace_id, created_by_user_id, created_by_user_name, created_datetime, name, description, include_in_listing, api_key_name, api_key_encrypted, url, online_expires, api_key_expires, previous_key_encrypted, previous_key_expires, key_last_used, told_online, makes_turns) VALUES ('workbench.flow', '*', 'semantic-workbench', 'Semantic Workbench Service', '2026-01-01 00:00:00.000002+00', 'Flows', 'Assistants that services of running flows speak for.', true, '', NULL, 'workbench:', '9999-01-01 00:00:00.000001+00', NULL, NULL, NULL, NULL, true, true);

ALTER TABLE ONLY alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY assistant_services
    ADD CONSTRAINT pk_assistant_services PRIMARY KEY (assistant_service_id);

ALTER TABLE ONLY assistants
    ADD CONSTRAINT pk_assistants PRIMARY KEY (id);

ALTER TABLE ONLY audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY budget_limits
    ADD CONSTRAINT pk_budget_limits PRIMARY KEY (workspace_id, scope, subject, measure, period);

ALTER TABLE ONLY budget_reservations
    ADD CONSTRAINT pk_budget_reservations PRIMARY KEY (workspace_id, key);

ALTER TABLE ONLY bus_topics
    ADD CONSTRAINT pk_bus_topics PRIMARY KEY (topic);

ALTER TABLE ONLY contents
    ADD CONSTRAINT pk_contents PRIMARY KEY (workspace_id, hash);

ALTER TABLE ONLY conversation_retention
    ADD CONSTRAINT pk_conversation_retention PRIMARY KEY (conversation_id, kind);

ALTER TABLE ONLY conversations
    ADD CONSTRAINT pk_conversations PRIMARY KEY (id);

ALTER TABLE ONLY dead_letters
    ADD CONSTRAINT pk_dead_letters PRIMARY KEY (id);

ALTER TABLE ONLY deliveries
    ADD CONSTRAINT pk_deliveries PRIMARY KEY (assistant_id, conversation_id);

ALTER TABLE ONLY embedding_spaces
    ADD CONSTRAINT pk_embedding_spaces PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY embeddings
    ADD CONSTRAINT pk_embeddings PRIMARY KEY (workspace_id, session_id, space_id);

ALTER TABLE ONLY erasures
    ADD CONSTRAINT pk_erasures PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY events
    ADD CONSTRAINT pk_events PRIMARY KEY (workspace_id, feed_position);

ALTER TABLE ONLY farewells
    ADD CONSTRAINT pk_farewells PRIMARY KEY (workspace_id, user_id, feed_position);

ALTER TABLE ONLY file_versions
    ADD CONSTRAINT pk_file_versions PRIMARY KEY (file_id, version);

ALTER TABLE ONLY files
    ADD CONSTRAINT pk_files PRIMARY KEY (id);

ALTER TABLE ONLY flow_blueprints
    ADD CONSTRAINT pk_flow_blueprints PRIMARY KEY (workspace_id, name);

ALTER TABLE ONLY flow_hosts
    ADD CONSTRAINT pk_flow_hosts PRIMARY KEY (host_id);

ALTER TABLE ONLY flow_parameter_types
    ADD CONSTRAINT pk_flow_parameter_types PRIMARY KEY (workspace_id, name);

ALTER TABLE ONLY flow_topics
    ADD CONSTRAINT pk_flow_topics PRIMARY KEY (workspace_id, flow_id, generation, topic);

ALTER TABLE ONLY flow_versions
    ADD CONSTRAINT pk_flow_versions PRIMARY KEY (ledger);

ALTER TABLE ONLY flows
    ADD CONSTRAINT pk_flows PRIMARY KEY (workspace_id, flow_id, generation);

ALTER TABLE ONLY gone_turns
    ADD CONSTRAINT pk_gone_turns PRIMARY KEY (workspace_id, conversation_id, turn_id);

ALTER TABLE ONLY idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (workspace_id, caller_role, caller_id, method, route, key);

ALTER TABLE ONLY jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (workspace_id, kind, key);

ALTER TABLE ONLY leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (name);

ALTER TABLE ONLY message_debug
    ADD CONSTRAINT pk_message_debug PRIMARY KEY (workspace_id, message_id);

ALTER TABLE ONLY message_parts
    ADD CONSTRAINT pk_message_parts PRIMARY KEY (workspace_id, message_id);

ALTER TABLE ONLY messages
    ADD CONSTRAINT pk_messages PRIMARY KEY (conversation_id, sequence);

ALTER TABLE ONLY model_assistants
    ADD CONSTRAINT pk_model_assistants PRIMARY KEY (assistant_id);

ALTER TABLE ONLY participants
    ADD CONSTRAINT pk_participants PRIMARY KEY (conversation_id, role, id);

ALTER TABLE ONLY playbook_versions
    ADD CONSTRAINT pk_playbook_versions PRIMARY KEY (workspace_id, playbook_id, number);

ALTER TABLE ONLY playbooks
    ADD CONSTRAINT pk_playbooks PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY psa_connections
    ADD CONSTRAINT pk_psa_connections PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY psa_push_bodies
    ADD CONSTRAINT pk_psa_push_bodies PRIMARY KEY (workspace_id, push_id);

ALTER TABLE ONLY psa_pushes
    ADD CONSTRAINT pk_psa_pushes PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY rate_uses
    ADD CONSTRAINT pk_rate_uses PRIMARY KEY (workspace_id, caller_role, caller_id, act);

ALTER TABLE ONLY redemptions
    ADD CONSTRAINT pk_redemptions PRIMARY KEY (id);

ALTER TABLE ONLY resolution_outputs
    ADD CONSTRAINT pk_resolution_outputs PRIMARY KEY (workspace_id, session_id, session_version, kind);

ALTER TABLE ONLY session_branches
    ADD CONSTRAINT pk_session_branches PRIMARY KEY (workspace_id, session_id, id);

ALTER TABLE ONLY session_documents
    ADD CONSTRAINT pk_session_documents PRIMARY KEY (workspace_id, session_id);

ALTER TABLE ONLY session_escalations
    ADD CONSTRAINT pk_session_escalations PRIMARY KEY (workspace_id, session_id, id);

ALTER TABLE ONLY session_lanes
    ADD CONSTRAINT pk_session_lanes PRIMARY KEY (workspace_id, session_id);

ALTER TABLE ONLY session_playbooks
    ADD CONSTRAINT pk_session_playbooks PRIMARY KEY (workspace_id, session_id, key);

ALTER TABLE ONLY session_steps
    ADD CONSTRAINT pk_session_steps PRIMARY KEY (workspace_id, session_id, id);

ALTER TABLE ONLY session_tickets
    ADD CONSTRAINT pk_session_tickets PRIMARY KEY (workspace_id, session_id);

ALTER TABLE ONLY session_words
    ADD CONSTRAINT pk_session_words PRIMARY KEY (workspace_id, word, session_id);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY shares
    ADD CONSTRAINT pk_shares PRIMARY KEY (id);

ALTER TABLE ONLY teams
    ADD CONSTRAINT pk_teams PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY token_usage
    ADD CONSTRAINT pk_token_usage PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY token_usage_models
    ADD CONSTRAINT pk_token_usage_models PRIMARY KEY (workspace_id, usage_id, model);

ALTER TABLE ONLY turn_events
    ADD CONSTRAINT pk_turn_events PRIMARY KEY (turn_pk, seq);

ALTER TABLE ONLY turn_model_calls
    ADD CONSTRAINT pk_turn_model_calls PRIMARY KEY (workspace_id, turn_pk, call_id);

ALTER TABLE ONLY turn_slots
    ADD CONSTRAINT pk_turn_slots PRIMARY KEY (conversation_id, turn_id, slot);

ALTER TABLE ONLY turn_snapshots
    ADD CONSTRAINT pk_turn_snapshots PRIMARY KEY (turn_pk);

ALTER TABLE ONLY turns
    ADD CONSTRAINT pk_turns PRIMARY KEY (pk);

ALTER TABLE ONLY users
    ADD CONSTRAINT pk_users PRIMARY KEY (workspace_id, id);

ALTER TABLE ONLY workspace_choices
    ADD CONSTRAINT pk_workspace_choices PRIMARY KEY (workspace_id, choice);

ALTER TABLE ONLY workspace_retention
    ADD CONSTRAINT pk_workspace_retention PRIMARY KEY (workspace_id, kind);

ALTER TABLE ONLY workspaces
    ADD CONSTRAINT pk_workspaces PRIMARY KEY (workspace_id);

ALTER TABLE ONLY assistants
    ADD CONSTRAINT uq_assistants_default_key UNIQUE (default_key);

ALTER TABLE ONLY contents
    ADD CONSTRAINT uq_contents_storage_key UNIQUE (storage_key);

ALTER TABLE ONLY sessions
    ADD CONSTRAINT uq_sessions_conversation_id UNIQUE (conversation_id);

CREATE INDEX ix_assistants_assistant_service_id ON assistants USING btree (assistant_service_id);

CREATE INDEX ix_assistants_workspace_id_owner_id ON assistants USING btree (workspace_id, owner_id);

CREATE INDEX ix_audit_at ON audit USING btree (at);

CREATE INDEX ix_audit_workspace_id_at ON audit USING btree (workspace_id, at);

CREATE INDEX ix_bus_topics_next_attempt_at ON bus_topics USING btree (next_attempt_at);

CREATE INDEX ix_conversation_retention_workspace_id ON conversation_retention USING btree (workspace_id, conversation_id);

CREATE INDEX ix_dead_letters_assistant_id ON dead_letters USING btree (assistant_id);

CREATE INDEX ix_deliveries_conversation_id ON deliveries USING btree (conversation_id);

CREATE INDEX ix_embeddings_sequence ON embeddings USING btree (workspace_id, space_id, sequence);

CREATE INDEX ix_erasures_workspace_id_subject ON erasures USING btree (workspace_id, subject);

CREATE INDEX ix_events_outside ON events USING btree (workspace_id, feed_position) WHERE (conversation_id IS NULL);

CREATE INDEX ix_file_versions_workspace_id_content_hash ON file_versions USING btree (workspace_id, content_hash);

CREATE INDEX ix_file_versions_workspace_id_created_datetime ON file_versions USING btree (workspace_id, created_datetime);

CREATE INDEX ix_flow_topics_topic ON flow_topics USING btree (topic);

CREATE INDEX ix_flows_stopped_at ON flows USING btree (stopped_at);

CREATE INDEX ix_gone_turns_gone_at ON gone_turns USING btree (gone_at);

CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys USING btree (expires_at);

CREATE INDEX ix_jobs_run_at ON jobs USING btree (run_at);

CREATE INDEX ix_leases_holder ON leases USING btree (holder);

CREATE INDEX ix_messages_conversation_id_message_type ON messages USING btree (conversation_id, message_type, sequence);

CREATE INDEX ix_participants_id_role ON participants USING btree (id, role, workspace_id, conversation_id);

CREATE INDEX ix_psa_push_bodies_session ON psa_push_bodies USING btree (workspace_id, session_id);

CREATE INDEX ix_psa_pushes_due ON psa_pushes USING btree (status, next_attempt_at);

CREATE INDEX ix_psa_pushes_session ON psa_pushes USING btree (workspace_id, session_id, created_at);

CREATE INDEX ix_rate_uses_last_at ON rate_uses USING btree (last_at);

CREATE INDEX ix_redemptions_share_id ON redemptions USING btree (share_id);

CREATE INDEX ix_redemptions_workspace_id_redeemed_by_user_id ON redemptions USING btree (workspace_id, redeemed_by_user_id);

CREATE INDEX ix_session_escalations_picker ON session_escalations USING btree (workspace_id, picked_up_by, session_id);

CREATE INDEX ix_session_escalations_queue ON session_escalations USING btree (workspace_id, state, rank, requested_at, id);

CREATE INDEX ix_session_escalations_requester ON session_escalations USING btree (workspace_id, requested_by, session_id);

CREATE INDEX ix_session_escalations_target ON session_escalations USING btree (workspace_id, target_user_id, session_id) WHERE ((state)::text = 'open'::text);

CREATE INDEX ix_session_escalations_untold ON session_escalations USING btree (requested_at) WHERE (((state)::text = 'open'::text) AND (alarmed_at IS NULL));

CREATE INDEX ix_session_tickets_ticket ON session_tickets USING btree (workspace_id, psa_ticket_id);

CREATE INDEX ix_sessions_deleted ON sessions USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX ix_sessions_handler ON sessions USING btree (workspace_id, handler_id, created_at, id);

CREATE INDEX ix_sessions_idle ON sessions USING btree (last_activity_at, status) WHERE (((status)::text = ANY (ARRAY['active'::text, 'escalated'::text, 'paused'::text])) AND (deleted_at IS NULL));

CREATE INDEX ix_sessions_owner ON sessions USING btree (workspace_id, owner_id, created_at, id);

CREATE INDEX ix_sessions_status ON sessions USING btree (workspace_id, status, last_activity_at);

CREATE INDEX ix_shares_conversation_id ON shares USING btree (conversation_id);

CREATE INDEX ix_shares_workspace_id_owner_id ON shares USING btree (workspace_id, owner_id);

CREATE INDEX ix_token_usage_assistant ON token_usage USING btree (workspace_id, assistant_id, created_datetime, id);

CREATE INDEX ix_token_usage_conversation ON token_usage USING btree (workspace_id, conversation_id, created_datetime, id);

CREATE INDEX ix_token_usage_created ON token_usage USING btree (workspace_id, created_datetime, id);

CREATE INDEX ix_token_usage_user ON token_usage USING btree (workspace_id, user_id, created_datetime, id);

CREATE INDEX ix_turns_conversation_id_created_at ON turns USING btree (conversation_id, created_at);

CREATE INDEX ix_turns_deadline_at ON turns USING btree (deadline_at) WHERE ((status)::text = ANY (ARRAY['opened'::text, 'streaming'::text]));

CREATE INDEX ix_turns_finished_at ON turns USING btree (finished_at) WHERE (log_floor < last_seq);

CREATE INDEX ix_turns_unbilled ON turns USING btree (pk) WHERE ((usage_state)::text = 'pending'::text);

CREATE INDEX ix_turns_watched_until ON turns USING btree (watched_until) WHERE ((watched_until IS NOT NULL) AND ((status)::text = ANY (ARRAY['opened'::text, 'streaming'::text])));

CREATE UNIQUE INDEX uq_assistant_services_id_workspace_id ON assistant_services USING btree (assistant_service_id, workspace_id);

CREATE UNIQUE INDEX uq_assistants_id_workspace_id ON assistants USING btree (id, workspace_id);

CREATE UNIQUE INDEX uq_conversations_workspace_id_id ON conversations USING btree (workspace_id, id);

CREATE UNIQUE INDEX uq_embedding_spaces_active ON embedding_spaces USING btree (workspace_id) WHERE ((state)::text = 'active'::text);

CREATE UNIQUE INDEX uq_embedding_spaces_in_use ON embedding_spaces USING btree (workspace_id, provider, model, dims, algo_version) WHERE ((state)::text <> 'retired'::text);

CREATE UNIQUE INDEX uq_erasures_workspace_id_user_id ON erasures USING btree (workspace_id, user_id);

CREATE UNIQUE INDEX uq_events_conversation_id_position ON events USING btree (conversation_id, "position");

CREATE UNIQUE INDEX uq_files_conversation_id_filename ON files USING btree (conversation_id, filename);

CREATE UNIQUE INDEX uq_files_id_workspace_id ON files USING btree (id, workspace_id);

CREATE UNIQUE INDEX uq_flows_holding ON flows USING btree (workspace_id, flow_id) WHERE ((state)::text = ANY (ARRAY['starting'::text, 'running'::text, 'stopping'::text]));

CREATE UNIQUE INDEX uq_messages_id_workspace_id ON messages USING btree (id, workspace_id);

CREATE UNIQUE INDEX uq_playbooks_workspace_id_key ON playbooks USING btree (workspace_id, key);

CREATE UNIQUE INDEX uq_psa_pushes_dedupe_key ON psa_pushes USING btree (workspace_id, dedupe_key);

CREATE UNIQUE INDEX uq_session_documents_place ON session_documents USING btree (place);

CREATE UNIQUE INDEX uq_session_escalations_open ON session_escalations USING btree (workspace_id, session_id) WHERE ((state)::text = 'open'::text);

CREATE UNIQUE INDEX uq_session_steps_open ON session_steps USING btree (workspace_id, session_id, branch_id) WHERE ((answered_at IS NULL) AND (superseded_by IS NULL));

CREATE UNIQUE INDEX uq_session_steps_order ON session_steps USING btree (workspace_id, session_id, branch_id, step_order);

CREATE UNIQUE INDEX uq_shares_id_workspace_id ON shares USING btree (id, workspace_id);

CREATE UNIQUE INDEX uq_turns_active ON turns USING btree (conversation_id, assistant_id) WHERE ((status)::text = ANY (ARRAY['opened'::text, 'streaming'::text]));

CREATE UNIQUE INDEX uq_turns_conversation_id_turn_id ON turns USING btree (conversation_id, turn_id);

CREATE UNIQUE INDEX uq_turns_pk_workspace_id ON turns USING btree (pk, workspace_id);

CREATE UNIQUE INDEX uq_usage_message ON token_usage USING btree (message_id) WHERE (message_id IS NOT NULL);

CREATE UNIQUE INDEX uq_usage_turn ON token_usage USING btree (turn_pk) WHERE (turn_pk IS NOT NULL);

CREATE TRIGGER keep_session_words AFTER INSERT OR DELETE OR UPDATE OF head, middle, report, said ON session_documents FOR EACH ROW EXECUTE FUNCTION keep_session_words();

ALTER TABLE ONLY assistants
    ADD CONSTRAINT fk_assistants_service_workspace_id_assistant_services FOREIGN KEY (service_workspace_id, assistant_service_id) REFERENCES assistant_services(workspace_id, assistant_service_id) ON DELETE CASCADE;

ALTER TABLE ONLY conversation_retention
    ADD CONSTRAINT fk_conversation_retention_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY embeddings
    ADD CONSTRAINT fk_embeddings_workspace_id_embedding_spaces FOREIGN KEY (workspace_id, space_id) REFERENCES embedding_spaces(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY embeddings
    ADD CONSTRAINT fk_embeddings_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY file_versions
    ADD CONSTRAINT fk_file_versions_workspace_id_contents FOREIGN KEY (workspace_id, content_hash) REFERENCES contents(workspace_id, hash);

ALTER TABLE ONLY file_versions
    ADD CONSTRAINT fk_file_versions_workspace_id_files FOREIGN KEY (workspace_id, file_id) REFERENCES files(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY files
    ADD CONSTRAINT fk_files_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY message_debug
    ADD CONSTRAINT fk_message_debug_workspace_id_messages FOREIGN KEY (workspace_id, message_id) REFERENCES messages(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY message_parts
    ADD CONSTRAINT fk_message_parts_workspace_id_messages FOREIGN KEY (workspace_id, message_id) REFERENCES messages(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY messages
    ADD CONSTRAINT fk_messages_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY model_assistants
    ADD CONSTRAINT fk_model_assistants_workspace_id_assistants FOREIGN KEY (workspace_id, assistant_id) REFERENCES assistants(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY participants
    ADD CONSTRAINT fk_participants_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY playbook_versions
    ADD CONSTRAINT fk_playbook_versions_workspace_id_playbooks FOREIGN KEY (workspace_id, playbook_id) REFERENCES playbooks(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY psa_push_bodies
    ADD CONSTRAINT fk_psa_push_bodies_workspace_id_psa_pushes FOREIGN KEY (workspace_id, push_id) REFERENCES psa_pushes(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY psa_push_bodies
    ADD CONSTRAINT fk_psa_push_bodies_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY psa_pushes
    ADD CONSTRAINT fk_psa_pushes_workspace_id_psa_connections FOREIGN KEY (workspace_id, connection_id) REFERENCES psa_connections(workspace_id, id);

ALTER TABLE ONLY redemptions
    ADD CONSTRAINT fk_redemptions_workspace_id_shares FOREIGN KEY (workspace_id, share_id) REFERENCES shares(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY resolution_outputs
    ADD CONSTRAINT fk_resolution_outputs_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_branches
    ADD CONSTRAINT fk_session_branches_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_documents
    ADD CONSTRAINT fk_session_documents_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_escalations
    ADD CONSTRAINT fk_session_escalations_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_lanes
    ADD CONSTRAINT fk_session_lanes_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_playbooks
    ADD CONSTRAINT fk_session_playbooks_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_steps
    ADD CONSTRAINT fk_session_steps_workspace_id_session_branches FOREIGN KEY (workspace_id, session_id, branch_id) REFERENCES session_branches(workspace_id, session_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY session_tickets
    ADD CONSTRAINT fk_session_tickets_workspace_id_psa_connections FOREIGN KEY (workspace_id, connection_id) REFERENCES psa_connections(workspace_id, id);

ALTER TABLE ONLY session_tickets
    ADD CONSTRAINT fk_session_tickets_workspace_id_sessions FOREIGN KEY (workspace_id, session_id) REFERENCES sessions(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY sessions
    ADD CONSTRAINT fk_sessions_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY shares
    ADD CONSTRAINT fk_shares_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY turn_events
    ADD CONSTRAINT fk_turn_events_workspace_id_turns FOREIGN KEY (workspace_id, turn_pk) REFERENCES turns(workspace_id, pk) ON DELETE CASCADE;

ALTER TABLE ONLY turn_slots
    ADD CONSTRAINT fk_turn_slots_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY turn_snapshots
    ADD CONSTRAINT fk_turn_snapshots_workspace_id_turns FOREIGN KEY (workspace_id, turn_pk) REFERENCES turns(workspace_id, pk) ON DELETE CASCADE;

ALTER TABLE ONLY turns
    ADD CONSTRAINT fk_turns_workspace_id_conversations FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations(workspace_id, id) ON DELETE CASCADE;

ALTER TABLE assistant_services ENABLE ROW LEVEL SECURITY;

ALTER TABLE assistants ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit ENABLE ROW LEVEL SECURITY;

ALTER TABLE budget_limits ENABLE ROW LEVEL SECURITY;

ALTER TABLE budget_reservations ENABLE ROW LEVEL SECURITY;

ALTER TABLE contents ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_retention ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;

ALTER TABLE dead_letters ENABLE ROW LEVEL SECURITY;

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;

CREATE POLICY duties ON assistant_services USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON assistants USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON audit USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON budget_limits USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON budget_reservations USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON contents USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON conversation_retention USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON conversations USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON dead_letters USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON deliveries USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON embedding_spaces USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON embeddings USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON erasures USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON events USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON farewells USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON file_versions USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON files USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON flow_blueprints USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON flow_parameter_types USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON flow_topics USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON flows USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON gone_turns USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON idempotency_keys USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON jobs USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON message_debug USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON message_parts USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON messages USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON model_assistants USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON participants USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON playbook_versions USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON playbooks USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON psa_connections USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON psa_push_bodies USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON psa_pushes USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON rate_uses USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON redemptions USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON resolution_outputs USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_branches USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_documents USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_escalations USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_lanes USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_playbooks USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_steps USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_tickets USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON session_words USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON sessions USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON shares USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON teams USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON token_usage USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON token_usage_models USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON turn_events USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON turn_model_calls USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON turn_slots USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON turn_snapshots USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON turns USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON users USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON workspace_choices USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON workspace_retention USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

CREATE POLICY duties ON workspaces USING ((NULLIF(current_setting('app.duty'::text, true), ''::text) IS NOT NULL));

ALTER TABLE embedding_spaces ENABLE ROW LEVEL SECURITY;

ALTER TABLE embeddings ENABLE ROW LEVEL SECURITY;

ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;

ALTER TABLE events ENABLE ROW LEVEL SECURITY;

ALTER TABLE farewells ENABLE ROW LEVEL SECURITY;

ALTER TABLE file_versions ENABLE ROW LEVEL SECURITY;

ALTER TABLE files ENABLE ROW LEVEL SECURITY;

ALTER TABLE flow_blueprints ENABLE ROW LEVEL SECURITY;

ALTER TABLE flow_parameter_types ENABLE ROW LEVEL SECURITY;

ALTER TABLE flow_topics ENABLE ROW LEVEL SECURITY;

ALTER TABLE flows ENABLE ROW LEVEL SECURITY;

ALTER TABLE gone_turns ENABLE ROW LEVEL SECURITY;

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE message_debug ENABLE ROW LEVEL SECURITY;

ALTER TABLE message_parts ENABLE ROW LEVEL SECURITY;

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE model_assistants ENABLE ROW LEVEL SECURITY;

ALTER TABLE participants ENABLE ROW LEVEL SECURITY;

ALTER TABLE playbook_versions ENABLE ROW LEVEL SECURITY;

ALTER TABLE playbooks ENABLE ROW LEVEL SECURITY;

ALTER TABLE psa_connections ENABLE ROW LEVEL SECURITY;

ALTER TABLE psa_push_bodies ENABLE ROW LEVEL SECURITY;

ALTER TABLE psa_pushes ENABLE ROW LEVEL SECURITY;

ALTER TABLE rate_uses ENABLE ROW LEVEL SECURITY;

ALTER TABLE redemptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE resolution_outputs ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_branches ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_documents ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_escalations ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_lanes ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_playbooks ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_steps ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_tickets ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_words ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY shared ON assistant_services FOR SELECT USING ((((workspace_id)::text = '*'::text) AND (NULLIF(current_setting('app.workspace_id'::text, true), ''::text) IS NOT NULL)));

CREATE POLICY shared ON flow_blueprints FOR SELECT USING ((((workspace_id)::text = ''::text) AND (NULLIF(current_setting('app.workspace_id'::text, true), ''::text) IS NOT NULL)));

CREATE POLICY shared ON flow_parameter_types FOR SELECT USING ((((workspace_id)::text = ''::text) AND (NULLIF(current_setting('app.workspace_id'::text, true), ''::text) IS NOT NULL)));

ALTER TABLE shares ENABLE ROW LEVEL SECURITY;

ALTER TABLE teams ENABLE ROW LEVEL SECURITY;

ALTER TABLE token_usage ENABLE ROW LEVEL SECURITY;

ALTER TABLE token_usage_models ENABLE ROW LEVEL SECURITY;

ALTER TABLE turn_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE turn_model_calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE turn_slots ENABLE ROW LEVEL SECURITY;

ALTER TABLE turn_snapshots ENABLE ROW LEVEL SECURITY;

ALTER TABLE turns ENABLE ROW LEVEL SECURITY;

ALTER TABLE users ENABLE ROW LEVEL SECURITY;

CREATE POLICY wall ON assistant_services USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON assistants USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON audit USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON budget_limits USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON budget_reservations USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON contents USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON conversation_retention USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON conversations USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON dead_letters USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON deliveries USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON embedding_spaces USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON embeddings USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON erasures USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON events USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON farewells USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON file_versions USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON files USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON flow_blueprints USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON flow_parameter_types USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON flow_topics USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON flows USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON gone_turns USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON idempotency_keys USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON jobs USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON message_debug USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON message_parts USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON messages USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON model_assistants USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON participants USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON playbook_versions USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON playbooks USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON psa_connections USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON psa_push_bodies USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON psa_pushes USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON rate_uses USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON redemptions USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON resolution_outputs USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_branches USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_documents USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_escalations USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_lanes USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_playbooks USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_steps USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_tickets USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON session_words USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON sessions USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON shares USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON teams USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON token_usage USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON token_usage_models USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON turn_events USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON turn_model_calls USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON turn_slots USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON turn_snapshots USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON turns USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON users USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON workspace_choices USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON workspace_retention USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

CREATE POLICY wall ON workspaces USING (((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))) WITH CHECK ((((workspace_id)::text = NULLIF(current_setting('app.workspace_id'::text, true), ''::text)) AND ((workspace_id)::text <> '*'::text)));

ALTER TABLE workspace_choices ENABLE ROW LEVEL SECURITY;

ALTER TABLE workspace_retention ENABLE ROW LEVEL SECURITY;

ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;

INSERT INTO alembic_version (version_num) VALUES ('0028');

-- By hand: where it may not be made, all vectors are compared by the service. An extension older than 0.8 has no way to go
-- on where most of what is near belongs to other workspaces.
DO $vectors$
DECLARE
    dims int;
    version text := (
        SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'
    );
BEGIN
    IF version IS NULL OR (string_to_array(version, '.'))[1:2]::int[] < ARRAY[0, 8] THEN RETURN; END IF;
    BEGIN
        CREATE EXTENSION IF NOT EXISTS vector;
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'no extension vector: %', SQLERRM;
        RETURN;
    END;
    FOREACH dims IN ARRAY ARRAY[384, 768, 1024, 1536] LOOP
        EXECUTE format(
            'CREATE INDEX ix_embeddings_hnsw_%s ON embeddings'
            ' USING hnsw ((floats::vector(%s)) vector_cosine_ops) WHERE dims = %s', dims, dims, dims
        );
    END LOOP;
END
$vectors$;
