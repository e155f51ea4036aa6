-- What revision 0028 has, for a database that has nothing. `make schema` writes it, to where it is by hand.
-- Blank lines part statements.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE assistant_services (
	assistant_service_id VARCHAR(255) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	created_by_user_id VARCHAR(255) NOT NULL,
	created_by_user_name TEXT NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	include_in_listing BOOLEAN NOT NULL,
	api_key_name VARCHAR(255) NOT NULL,
	api_key_encrypted TEXT,
	url TEXT NOT NULL,
	online_expires VARCHAR(27), api_key_expires VARCHAR(27), previous_key_encrypted TEXT, previous_key_expires VARCHAR(27), key_last_used VARCHAR(27), told_online BOOLEAN DEFAULT 0 NOT NULL, makes_turns BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_assistant_services PRIMARY KEY (assistant_service_id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_assistant_services_id_workspace_id ON assistant_services (assistant_service_id, workspace_id);

CREATE TABLE "assistants" (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	owner_id VARCHAR(255) NOT NULL,
	assistant_service_id VARCHAR(255) NOT NULL,
	template_id VARCHAR(255) NOT NULL,
	name TEXT NOT NULL,
	image TEXT,
	metadata TEXT NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	default_key VARCHAR(2048), service_workspace_id VARCHAR(63) NOT NULL,
	CONSTRAINT pk_assistants PRIMARY KEY (id),
	CONSTRAINT ck_assistants_service_workspace CHECK (service_workspace_id IN (workspace_id, '*')), CONSTRAINT fk_assistants_service_workspace_id_assistant_services FOREIGN KEY(service_workspace_id, assistant_service_id) REFERENCES assistant_services (workspace_id, assistant_service_id) ON DELETE CASCADE,
	CONSTRAINT uq_assistants_default_key UNIQUE (default_key)
)
 WITHOUT ROWID;

CREATE INDEX ix_assistants_assistant_service_id ON assistants (assistant_service_id);

CREATE INDEX ix_assistants_workspace_id_owner_id ON assistants (workspace_id, owner_id);

CREATE UNIQUE INDEX uq_assistants_id_workspace_id ON assistants (id, workspace_id);

CREATE TABLE audit (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	at VARCHAR(27) NOT NULL,
	actor_kind VARCHAR(16) NOT NULL,
	actor_id VARCHAR(255) NOT NULL,
	act VARCHAR(64) NOT NULL,
	subject VARCHAR(255) NOT NULL,
	detail TEXT NOT NULL,
	correlation_id VARCHAR(64) NOT NULL,
	CONSTRAINT pk_audit PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_audit_at ON audit (at);

CREATE INDEX ix_audit_workspace_id_at ON audit (workspace_id, at);

CREATE TABLE budget_limits (
	workspace_id VARCHAR(63) NOT NULL,
	scope VARCHAR(16) NOT NULL,
	subject VARCHAR(255) NOT NULL,
	measure VARCHAR(16) NOT NULL,
	period VARCHAR(16) NOT NULL,
	amount BIGINT,
	anchor VARCHAR(10),
	CONSTRAINT pk_budget_limits PRIMARY KEY (workspace_id, scope, subject, measure, period)
)
 WITHOUT ROWID;

CREATE TABLE budget_reservations (
	workspace_id VARCHAR(63) NOT NULL,
	"key" VARCHAR(255) NOT NULL,
	user_id VARCHAR(255),
	assistant_id VARCHAR(36),
	tokens BIGINT NOT NULL,
	cost_micros BIGINT NOT NULL,
	expires_datetime VARCHAR(27) NOT NULL, generations BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_budget_reservations PRIMARY KEY (workspace_id, "key")
)
 WITHOUT ROWID;

CREATE TABLE bus_topics (
	topic VARCHAR(170) NOT NULL,
	state VARCHAR(16) NOT NULL,
	subscriptions TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	next_attempt_at VARCHAR(27),
	CONSTRAINT pk_bus_topics PRIMARY KEY (topic)
)
 WITHOUT ROWID;

CREATE INDEX ix_bus_topics_next_attempt_at ON bus_topics (next_attempt_at);

CREATE TABLE contents (
	workspace_id VARCHAR(63) NOT NULL,
	hash VARCHAR(64) NOT NULL,
	storage_key VARCHAR(255) NOT NULL,
	size BIGINT NOT NULL,
	touched_datetime VARCHAR(27) NOT NULL,
	CONSTRAINT pk_contents PRIMARY KEY (workspace_id, hash),
	CONSTRAINT uq_contents_storage_key UNIQUE (storage_key)
)
 WITHOUT ROWID;

CREATE TABLE "conversation_retention" (
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	seconds BIGINT NOT NULL,
	CONSTRAINT pk_conversation_retention PRIMARY KEY (conversation_id, kind),
	CONSTRAINT fk_conversation_retention_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_conversation_retention_workspace_id ON conversation_retention (workspace_id, conversation_id);

CREATE TABLE conversations (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	owner_id VARCHAR(255) NOT NULL,
	imported_from_conversation_id VARCHAR(36),
	metadata TEXT NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	version INTEGER DEFAULT '0' NOT NULL,
	event_head BIGINT DEFAULT '0' NOT NULL,
	message_head BIGINT DEFAULT '0' NOT NULL, file_bytes BIGINT DEFAULT '0' NOT NULL, made_by_assistant_id VARCHAR(36), event_floor BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_conversations PRIMARY KEY (id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_conversations_workspace_id_id ON conversations (workspace_id, id);

CREATE TABLE dead_letters (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	assistant_id VARCHAR(36) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	position BIGINT NOT NULL,
	event_id VARCHAR(32) NOT NULL,
	event_type VARCHAR(64) NOT NULL,
	envelope TEXT NOT NULL,
	reason TEXT NOT NULL,
	failed_datetime VARCHAR(27) NOT NULL,
	CONSTRAINT pk_dead_letters PRIMARY KEY (id)
)
 WITHOUT ROWID;

CREATE INDEX ix_dead_letters_assistant_id ON dead_letters (assistant_id);

CREATE TABLE deliveries (
	workspace_id VARCHAR(63) NOT NULL,
	assistant_id VARCHAR(36) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	state VARCHAR(16) NOT NULL,
	position BIGINT NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	retry_at VARCHAR(27),
	last_error TEXT,
	CONSTRAINT pk_deliveries PRIMARY KEY (assistant_id, conversation_id)
)
 WITHOUT ROWID;

CREATE INDEX ix_deliveries_conversation_id ON deliveries (conversation_id);

CREATE TABLE embedding_spaces (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	provider VARCHAR(63) NOT NULL,
	model VARCHAR(255) NOT NULL,
	dims INTEGER NOT NULL,
	algo_version INTEGER NOT NULL,
	state VARCHAR(16) NOT NULL,
	head BIGINT DEFAULT '0' NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_embedding_spaces PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_embedding_spaces_active ON embedding_spaces (workspace_id) WHERE state = 'active';

CREATE UNIQUE INDEX uq_embedding_spaces_in_use ON embedding_spaces (workspace_id, provider, model, dims, algo_version) WHERE state <> 'retired';

CREATE TABLE embeddings (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	space_id VARCHAR(36) NOT NULL,
	sequence BIGINT NOT NULL,
	dims INTEGER NOT NULL,
	text_hash VARCHAR(32) NOT NULL,
	floats BLOB NOT NULL,
	CONSTRAINT pk_embeddings PRIMARY KEY (workspace_id, session_id, space_id),
	CONSTRAINT fk_embeddings_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_embeddings_workspace_id_embedding_spaces FOREIGN KEY(workspace_id, space_id) REFERENCES embedding_spaces (workspace_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_embeddings_sequence ON embeddings (workspace_id, space_id, sequence);

CREATE TABLE erasures (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	user_id VARCHAR(255),
	user_name TEXT,
	subject VARCHAR(64) NOT NULL,
	policy VARCHAR(16) NOT NULL,
	stage VARCHAR(64) NOT NULL,
	place TEXT,
	counts TEXT NOT NULL,
	begun_datetime VARCHAR(27) NOT NULL,
	touched_datetime VARCHAR(27) NOT NULL,
	ended_datetime VARCHAR(27),
	version INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_erasures PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_erasures_workspace_id_subject ON erasures (workspace_id, subject);

CREATE UNIQUE INDEX uq_erasures_workspace_id_user_id ON erasures (workspace_id, user_id);

CREATE TABLE "events" (
	workspace_id VARCHAR(63) NOT NULL,
	feed_position BIGINT NOT NULL,
	conversation_id VARCHAR(36),
	position BIGINT NOT NULL,
	id VARCHAR(32) NOT NULL,
	correlation_id VARCHAR(64) NOT NULL,
	type VARCHAR(64) NOT NULL,
	timestamp VARCHAR(27) NOT NULL,
	audience VARCHAR(16) NOT NULL,
	data TEXT NOT NULL,
	trace_parent VARCHAR(55),
	CONSTRAINT pk_events PRIMARY KEY (workspace_id, feed_position)
)
 WITHOUT ROWID;

CREATE INDEX ix_events_outside ON events (workspace_id, feed_position) WHERE conversation_id IS NULL;

CREATE UNIQUE INDEX uq_events_conversation_id_position ON events (conversation_id, position);

CREATE TABLE farewells (
	workspace_id VARCHAR(63) NOT NULL,
	user_id VARCHAR(255) NOT NULL,
	feed_position BIGINT NOT NULL,
	CONSTRAINT pk_farewells PRIMARY KEY (workspace_id, user_id, feed_position)
)
 WITHOUT ROWID;

CREATE TABLE "file_versions" (
	workspace_id VARCHAR(63) NOT NULL,
	file_id VARCHAR(36) NOT NULL,
	version INTEGER NOT NULL,
	participant_id VARCHAR(255) NOT NULL,
	participant_role VARCHAR(16) NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	metadata TEXT NOT NULL,
	content_type VARCHAR(255) NOT NULL,
	file_size BIGINT NOT NULL,
	content_hash VARCHAR(64) NOT NULL,
	storage_filename VARCHAR(255) NOT NULL,
	CONSTRAINT pk_file_versions PRIMARY KEY (file_id, version),
	CONSTRAINT fk_file_versions_workspace_id_files FOREIGN KEY(workspace_id, file_id) REFERENCES files (workspace_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_file_versions_workspace_id_contents FOREIGN KEY(workspace_id, content_hash) REFERENCES contents (workspace_id, hash)
)
 WITHOUT ROWID;

CREATE INDEX ix_file_versions_workspace_id_content_hash ON file_versions (workspace_id, content_hash);

CREATE INDEX ix_file_versions_workspace_id_created_datetime ON file_versions (workspace_id, created_datetime);

CREATE TABLE "files" (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	filename TEXT NOT NULL,
	current_version INTEGER NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	revision INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_files PRIMARY KEY (id),
	CONSTRAINT fk_files_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_files_conversation_id_filename ON files (conversation_id, filename);

CREATE UNIQUE INDEX uq_files_id_workspace_id ON files (id, workspace_id);

CREATE TABLE flow_blueprints (
	workspace_id VARCHAR(63) NOT NULL,
	name VARCHAR(40) NOT NULL,
	version INTEGER NOT NULL,
	document TEXT NOT NULL,
	created_by VARCHAR(255) NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_flow_blueprints PRIMARY KEY (workspace_id, name)
)
 WITHOUT ROWID;

CREATE TABLE flow_hosts (
	host_id VARCHAR(64) NOT NULL,
	services TEXT NOT NULL,
	held TEXT NOT NULL,
	calling TEXT NOT NULL,
	seen_at VARCHAR(27) NOT NULL, offered TEXT DEFAULT '[]' NOT NULL, offered_version BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_flow_hosts PRIMARY KEY (host_id)
)
 WITHOUT ROWID;

CREATE TABLE flow_parameter_types (
	workspace_id VARCHAR(63) NOT NULL,
	name VARCHAR(40) NOT NULL,
	schema TEXT NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_flow_parameter_types PRIMARY KEY (workspace_id, name)
)
 WITHOUT ROWID;

CREATE TABLE flow_topics (
	workspace_id VARCHAR(63) NOT NULL,
	flow_id VARCHAR(40) NOT NULL,
	generation INTEGER NOT NULL,
	topic VARCHAR(170) NOT NULL,
	owned BOOLEAN NOT NULL,
	CONSTRAINT pk_flow_topics PRIMARY KEY (workspace_id, flow_id, generation, topic)
)
 WITHOUT ROWID;

CREATE INDEX ix_flow_topics_topic ON flow_topics (topic);

CREATE TABLE flow_versions (
	ledger INTEGER NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_flow_versions PRIMARY KEY (ledger)
)
 WITHOUT ROWID;

CREATE TABLE flows (
	workspace_id VARCHAR(63) NOT NULL,
	flow_id VARCHAR(40) NOT NULL,
	generation INTEGER NOT NULL,
	blueprint_name VARCHAR(40) NOT NULL,
	blueprint_version INTEGER NOT NULL,
	description TEXT NOT NULL,
	state VARCHAR(16) NOT NULL,
	parameters TEXT NOT NULL,
	secrets TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	is_withdrawn BOOLEAN NOT NULL,
	drain_milliseconds INTEGER NOT NULL,
	error TEXT,
	cleanup TEXT,
	created_by VARCHAR(255) NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	started_at VARCHAR(27),
	stopping_at VARCHAR(27),
	stopped_at VARCHAR(27),
	CONSTRAINT pk_flows PRIMARY KEY (workspace_id, flow_id, generation)
)
 WITHOUT ROWID;

CREATE INDEX ix_flows_stopped_at ON flows (stopped_at);

CREATE UNIQUE INDEX uq_flows_holding ON flows (workspace_id, flow_id) WHERE state IN ('starting', 'running', 'stopping');

CREATE TABLE gone_turns (
	workspace_id VARCHAR(63) NOT NULL,
	pk VARCHAR(36) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	turn_id VARCHAR(128) NOT NULL,
	assistant_id VARCHAR(36) NOT NULL,
	assistant_service_id VARCHAR(255),
	user_id VARCHAR(255),
	gone_at VARCHAR(27) NOT NULL,
	is_billed BOOLEAN NOT NULL,
	CONSTRAINT pk_gone_turns PRIMARY KEY (workspace_id, conversation_id, turn_id)
)
 WITHOUT ROWID;

CREATE INDEX ix_gone_turns_gone_at ON gone_turns (gone_at);

CREATE TABLE idempotency_keys (
	workspace_id VARCHAR(63) NOT NULL,
	caller_role VARCHAR(16) NOT NULL,
	caller_id VARCHAR(255) NOT NULL,
	method VARCHAR(8) NOT NULL,
	route VARCHAR(255) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	request_hash VARCHAR(64) NOT NULL,
	claim VARCHAR(32) NOT NULL,
	claimed_until VARCHAR(27) NOT NULL,
	expires_at VARCHAR(27) NOT NULL,
	status INTEGER,
	headers TEXT NOT NULL,
	body TEXT,
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (workspace_id, caller_role, caller_id, method, route, "key")
)
 WITHOUT ROWID;

CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at);

CREATE TABLE jobs (
	workspace_id VARCHAR(63) NOT NULL,
	kind VARCHAR(64) NOT NULL,
	"key" VARCHAR(255) NOT NULL,
	id VARCHAR(36) NOT NULL,
	payload TEXT NOT NULL,
	run_at VARCHAR(27) NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	claim VARCHAR(32),
	claimed_until VARCHAR(27),
	last_error TEXT,
	created_datetime VARCHAR(27) NOT NULL, correlation_id VARCHAR(64) DEFAULT '' NOT NULL, trace_parent VARCHAR(55),
	CONSTRAINT pk_jobs PRIMARY KEY (workspace_id, kind, "key")
)
 WITHOUT ROWID;

CREATE INDEX ix_jobs_run_at ON jobs (run_at);

CREATE TABLE leases (
	name VARCHAR(255) NOT NULL,
	holder VARCHAR(64) NOT NULL,
	expires_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_leases PRIMARY KEY (name)
)
 WITHOUT ROWID;

CREATE INDEX ix_leases_holder ON leases (holder);

CREATE TABLE message_debug (
	workspace_id VARCHAR(63) NOT NULL,
	message_id VARCHAR(36) NOT NULL,
	debug_data TEXT NOT NULL,
	CONSTRAINT pk_message_debug PRIMARY KEY (workspace_id, message_id),
	CONSTRAINT fk_message_debug_workspace_id_messages FOREIGN KEY(workspace_id, message_id) REFERENCES messages (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE message_parts (
	workspace_id VARCHAR(63) NOT NULL,
	message_id VARCHAR(36) NOT NULL,
	parts TEXT NOT NULL,
	revision INTEGER DEFAULT '0' NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_message_parts PRIMARY KEY (workspace_id, message_id),
	CONSTRAINT fk_message_parts_workspace_id_messages FOREIGN KEY(workspace_id, message_id) REFERENCES messages (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE "messages" (
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	sequence BIGINT NOT NULL,
	id VARCHAR(36) NOT NULL,
	sender_role VARCHAR(16) NOT NULL,
	sender_id VARCHAR(255) NOT NULL,
	message_type VARCHAR(32) NOT NULL,
	timestamp VARCHAR(27) NOT NULL,
	content_type VARCHAR(255) NOT NULL,
	content TEXT NOT NULL,
	filenames TEXT NOT NULL,
	metadata TEXT NOT NULL,
	has_debug_data BOOLEAN NOT NULL,
	CONSTRAINT pk_messages PRIMARY KEY (conversation_id, sequence),
	CONSTRAINT fk_messages_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_messages_conversation_id_message_type ON messages (conversation_id, message_type, sequence);

CREATE UNIQUE INDEX uq_messages_id_workspace_id ON messages (id, workspace_id);

CREATE TABLE "model_assistants" (
	workspace_id VARCHAR(63) NOT NULL,
	assistant_id VARCHAR(36) NOT NULL,
	template_id VARCHAR(255) NOT NULL,
	config TEXT NOT NULL,
	CONSTRAINT pk_model_assistants PRIMARY KEY (assistant_id),
	CONSTRAINT fk_model_assistants_workspace_id_assistants FOREIGN KEY(workspace_id, assistant_id) REFERENCES assistants (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE "participants" (
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	role VARCHAR(16) NOT NULL,
	id VARCHAR(255) NOT NULL,
	assistant_id VARCHAR(36),
	name TEXT NOT NULL,
	image TEXT,
	status TEXT,
	status_updated_timestamp VARCHAR(27) NOT NULL,
	active_participant BOOLEAN NOT NULL,
	conversation_permission VARCHAR(16) NOT NULL,
	metadata TEXT NOT NULL,
	joined_datetime VARCHAR(27) NOT NULL,
	version INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_participants PRIMARY KEY (conversation_id, role, id),
	CONSTRAINT fk_participants_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_participants_id_role ON participants (id, role, workspace_id, conversation_id);

CREATE TABLE playbook_versions (
	workspace_id VARCHAR(63) NOT NULL,
	playbook_id VARCHAR(36) NOT NULL,
	number INTEGER NOT NULL,
	schema VARCHAR(63) NOT NULL,
	source_text TEXT NOT NULL,
	document TEXT NOT NULL,
	content_hash VARCHAR(64) NOT NULL,
	findings TEXT NOT NULL,
	imported_by VARCHAR(255) NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	published_at VARCHAR(27),
	CONSTRAINT pk_playbook_versions PRIMARY KEY (workspace_id, playbook_id, number),
	CONSTRAINT fk_playbook_versions_workspace_id_playbooks FOREIGN KEY(workspace_id, playbook_id) REFERENCES playbooks (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE playbooks (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	"key" VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	domain TEXT,
	status VARCHAR(16) NOT NULL,
	current_version INTEGER,
	created_at VARCHAR(27) NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	version INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_playbooks PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_playbooks_workspace_id_key ON playbooks (workspace_id, "key");

CREATE TABLE psa_connections (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	name TEXT NOT NULL,
	config TEXT NOT NULL,
	secret_ciphertext TEXT NOT NULL,
	enabled BOOLEAN NOT NULL,
	health VARCHAR(16) NOT NULL,
	checked_at VARCHAR(27),
	created_at VARCHAR(27) NOT NULL,
	updated_at VARCHAR(27) NOT NULL,
	removed_at VARCHAR(27),
	version INTEGER NOT NULL,
	CONSTRAINT pk_psa_connections PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE TABLE psa_push_bodies (
	workspace_id VARCHAR(63) NOT NULL,
	push_id VARCHAR(36) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	body TEXT NOT NULL,
	people TEXT NOT NULL,
	CONSTRAINT pk_psa_push_bodies PRIMARY KEY (workspace_id, push_id),
	CONSTRAINT fk_psa_push_bodies_workspace_id_psa_pushes FOREIGN KEY(workspace_id, push_id) REFERENCES psa_pushes (workspace_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_psa_push_bodies_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_psa_push_bodies_session ON psa_push_bodies (workspace_id, session_id);

CREATE TABLE psa_pushes (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	connection_id VARCHAR(36) NOT NULL,
	psa_ticket_id VARCHAR(64) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	visibility VARCHAR(16) NOT NULL,
	author_id VARCHAR(255) NOT NULL,
	marker VARCHAR(63) NOT NULL,
	dedupe_key VARCHAR(255) NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	status VARCHAR(16) NOT NULL,
	attempt_count INTEGER NOT NULL,
	manual_attempts INTEGER NOT NULL,
	next_attempt_at VARCHAR(27),
	may_be_there BOOLEAN NOT NULL,
	claim VARCHAR(32),
	lease_until VARCHAR(27),
	external_note_id TEXT,
	http_status INTEGER,
	error_code VARCHAR(32),
	posted_at VARCHAR(27), correlation_id VARCHAR(64) DEFAULT '' NOT NULL, trace_parent VARCHAR(55),
	CONSTRAINT pk_psa_pushes PRIMARY KEY (workspace_id, id),
	CONSTRAINT fk_psa_pushes_workspace_id_psa_connections FOREIGN KEY(workspace_id, connection_id) REFERENCES psa_connections (workspace_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_psa_pushes_due ON psa_pushes (status, next_attempt_at);

CREATE INDEX ix_psa_pushes_session ON psa_pushes (workspace_id, session_id, created_at);

CREATE UNIQUE INDEX uq_psa_pushes_dedupe_key ON psa_pushes (workspace_id, dedupe_key);

CREATE TABLE rate_uses (
	workspace_id VARCHAR(63) NOT NULL,
	caller_role VARCHAR(16) NOT NULL,
	caller_id VARCHAR(255) NOT NULL,
	act VARCHAR(64) NOT NULL,
	times TEXT NOT NULL,
	last_at VARCHAR(27) NOT NULL,
	CONSTRAINT pk_rate_uses PRIMARY KEY (workspace_id, caller_role, caller_id, act)
)
 WITHOUT ROWID;

CREATE INDEX ix_rate_uses_last_at ON rate_uses (last_at);

CREATE TABLE "redemptions" (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	share_id VARCHAR(36) NOT NULL,
	redeemed_by_user_id VARCHAR(255) NOT NULL,
	conversation_permission VARCHAR(16) NOT NULL,
	new_participant BOOLEAN NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	CONSTRAINT pk_redemptions PRIMARY KEY (id),
	CONSTRAINT fk_redemptions_workspace_id_shares FOREIGN KEY(workspace_id, share_id) REFERENCES shares (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_redemptions_share_id ON redemptions (share_id);

CREATE INDEX ix_redemptions_workspace_id_redeemed_by_user_id ON redemptions (workspace_id, redeemed_by_user_id);

CREATE TABLE resolution_outputs (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	session_version INTEGER NOT NULL,
	kind VARCHAR(16) NOT NULL,
	state VARCHAR(16) NOT NULL,
	content TEXT,
	generated_by VARCHAR(16) NOT NULL,
	error_code VARCHAR(32),
	created_at VARCHAR(27) NOT NULL,
	told_at VARCHAR(27),
	people TEXT NOT NULL,
	CONSTRAINT pk_resolution_outputs PRIMARY KEY (workspace_id, session_id, session_version, kind),
	CONSTRAINT fk_resolution_outputs_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE session_branches (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	id VARCHAR(36) NOT NULL,
	label TEXT NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	parent_branch_id VARCHAR(36),
	forked_at_step_id VARCHAR(36),
	status VARCHAR(16) NOT NULL,
	CONSTRAINT pk_session_branches PRIMARY KEY (workspace_id, session_id, id),
	CONSTRAINT fk_session_branches_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE session_documents (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	place BIGINT NOT NULL,
	token VARCHAR(32) NOT NULL,
	head TEXT NOT NULL,
	middle TEXT NOT NULL,
	report TEXT NOT NULL,
	said TEXT NOT NULL,
	problem_hash VARCHAR(32) NOT NULL,
	is_current BOOLEAN NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT pk_session_documents PRIMARY KEY (workspace_id, session_id),
	CONSTRAINT fk_session_documents_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
);

CREATE TRIGGER session_words_add AFTER INSERT ON session_documents BEGIN INSERT INTO session_words(rowid, token, head, middle, report, said) VALUES (new.place, new.token, new.head, new.middle, new.report, new.said); END;

CREATE TRIGGER session_words_change AFTER UPDATE OF place, token, head, middle, report, said ON session_documents BEGIN INSERT INTO session_words(session_words, rowid, token, head, middle, report, said) VALUES ('delete', old.place, old.token, old.head, old.middle, old.report, old.said); INSERT INTO session_words(rowid, token, head, middle, report, said) VALUES (new.place, new.token, new.head, new.middle, new.report, new.said); END;

CREATE TRIGGER session_words_remove AFTER DELETE ON session_documents BEGIN INSERT INTO session_words(session_words, rowid, token, head, middle, report, said) VALUES ('delete', old.place, old.token, old.head, old.middle, old.report, old.said); END;

CREATE UNIQUE INDEX uq_session_documents_place ON session_documents (place);

CREATE TABLE session_escalations (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	id VARCHAR(36) NOT NULL,
	requested_by VARCHAR(255) NOT NULL,
	reason TEXT NOT NULL,
	requested_at VARCHAR(27) NOT NULL,
	urgency VARCHAR(16) NOT NULL,
	rank INTEGER NOT NULL,
	notes TEXT,
	target_user_id VARCHAR(255),
	packet TEXT NOT NULL,
	state VARCHAR(16) NOT NULL,
	picked_up_by VARCHAR(255),
	resume_mode VARCHAR(16),
	additional_context TEXT,
	closed_at VARCHAR(27), team_id VARCHAR(255), alarmed_at VARCHAR(27),
	CONSTRAINT pk_session_escalations PRIMARY KEY (workspace_id, session_id, id),
	CONSTRAINT fk_session_escalations_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_session_escalations_picker ON session_escalations (workspace_id, picked_up_by, session_id);

CREATE INDEX ix_session_escalations_queue ON session_escalations (workspace_id, state, rank, requested_at, id);

CREATE INDEX ix_session_escalations_requester ON session_escalations (workspace_id, requested_by, session_id);

CREATE INDEX ix_session_escalations_target ON session_escalations (workspace_id, target_user_id, session_id) WHERE state = 'open';

CREATE INDEX ix_session_escalations_untold ON session_escalations (requested_at) WHERE state = 'open' AND alarmed_at IS NULL;

CREATE UNIQUE INDEX uq_session_escalations_open ON session_escalations (workspace_id, session_id) WHERE state = 'open';

CREATE TABLE session_lanes (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	rev INTEGER NOT NULL,
	lane TEXT NOT NULL,
	CONSTRAINT pk_session_lanes PRIMARY KEY (workspace_id, session_id),
	CONSTRAINT fk_session_lanes_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE session_playbooks (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	"key" VARCHAR(63) NOT NULL,
	playbook_id VARCHAR(36) NOT NULL,
	number INTEGER NOT NULL,
	"match" FLOAT NOT NULL,
	document TEXT NOT NULL,
	CONSTRAINT pk_session_playbooks PRIMARY KEY (workspace_id, session_id, "key"),
	CONSTRAINT fk_session_playbooks_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE session_steps (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	id VARCHAR(36) NOT NULL,
	branch_id VARCHAR(36) NOT NULL,
	step_order INTEGER NOT NULL,
	step TEXT NOT NULL,
	asked_at VARCHAR(27) NOT NULL,
	answered_at VARCHAR(27),
	answered_by VARCHAR(255),
	reading TEXT,
	is_unclear BOOLEAN NOT NULL,
	note TEXT,
	prompt_message_id VARCHAR(36),
	answer_message_id VARCHAR(36),
	superseded_by VARCHAR(36),
	CONSTRAINT pk_session_steps PRIMARY KEY (workspace_id, session_id, id),
	CONSTRAINT fk_session_steps_workspace_id_session_branches FOREIGN KEY(workspace_id, session_id, branch_id) REFERENCES session_branches (workspace_id, session_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX uq_session_steps_open ON session_steps (workspace_id, session_id, branch_id) WHERE answered_at IS NULL AND superseded_by IS NULL;

CREATE UNIQUE INDEX uq_session_steps_order ON session_steps (workspace_id, session_id, branch_id, step_order);

CREATE TABLE session_tickets (
	workspace_id VARCHAR(63) NOT NULL,
	session_id VARCHAR(36) NOT NULL,
	connection_id VARCHAR(36) NOT NULL,
	psa_ticket_id VARCHAR(64) NOT NULL,
	ticket_data TEXT NOT NULL,
	CONSTRAINT pk_session_tickets PRIMARY KEY (workspace_id, session_id),
	CONSTRAINT fk_session_tickets_workspace_id_sessions FOREIGN KEY(workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_session_tickets_workspace_id_psa_connections FOREIGN KEY(workspace_id, connection_id) REFERENCES psa_connections (workspace_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_session_tickets_ticket ON session_tickets (workspace_id, psa_ticket_id);

CREATE VIRTUAL TABLE session_words USING fts5(
        token, head, middle, report, said,
        content='session_documents', content_rowid='place', tokenize='unicode61 remove_diacritics 0'
    );

CREATE TABLE "sessions" (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	owner_id VARCHAR(255) NOT NULL,
	handler_id VARCHAR(255) NOT NULL,
	session_type VARCHAR(16) NOT NULL,
	intake TEXT NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	last_activity_at VARCHAR(27) NOT NULL,
	status VARCHAR(32) NOT NULL,
	resume_status VARCHAR(32),
	title TEXT,
	problem_summary TEXT,
	problem_domain TEXT,
	confidence_score FLOAT,
	confidence_tier VARCHAR(16),
	step_count INTEGER NOT NULL,
	matched_flow_id VARCHAR(36),
	playbook_version INTEGER,
	match_score FLOAT,
	is_branching BOOLEAN NOT NULL,
	active_branch_id VARCHAR(36),
	resolution TEXT,
	abandon_reason TEXT,
	rating INTEGER,
	feedback TEXT,
	resolved_at VARCHAR(27),
	closed_at VARCHAR(27),
	version INTEGER NOT NULL, deleted_at VARCHAR(27), lease_key VARCHAR(64), lease_until VARCHAR(27), reopenable_until VARCHAR(27),
	CONSTRAINT pk_sessions PRIMARY KEY (workspace_id, id),
	CONSTRAINT fk_sessions_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE,
	CONSTRAINT uq_sessions_conversation_id UNIQUE (conversation_id)
)
 WITHOUT ROWID;

CREATE INDEX ix_sessions_deleted ON sessions (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE INDEX ix_sessions_handler ON sessions (workspace_id, handler_id, created_at, id);

CREATE INDEX ix_sessions_idle ON sessions (last_activity_at, status) WHERE status IN ('active', 'escalated', 'paused') AND deleted_at IS NULL;

CREATE INDEX ix_sessions_owner ON sessions (workspace_id, owner_id, created_at, id);

CREATE INDEX ix_sessions_status ON sessions (workspace_id, status, last_activity_at);

CREATE TABLE "shares" (
	id VARCHAR(36) NOT NULL,
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	owner_id VARCHAR(255) NOT NULL,
	label TEXT NOT NULL,
	conversation_permission VARCHAR(16) NOT NULL,
	is_redeemable BOOLEAN NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	metadata TEXT NOT NULL,
	token_hash VARCHAR(64),
	expires_datetime VARCHAR(27),
	CONSTRAINT pk_shares PRIMARY KEY (id),
	CONSTRAINT fk_shares_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_shares_conversation_id ON shares (conversation_id);

CREATE INDEX ix_shares_workspace_id_owner_id ON shares (workspace_id, owner_id);

CREATE UNIQUE INDEX uq_shares_id_workspace_id ON shares (id, workspace_id);

CREATE TABLE teams (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(255) NOT NULL,
	seen_datetime VARCHAR(27) NOT NULL,
	CONSTRAINT pk_teams PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE TABLE token_usage (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(36) NOT NULL,
	usage_type VARCHAR(50) DEFAULT 'chat' NOT NULL,
	turn_pk VARCHAR(36),
	message_id VARCHAR(36),
	conversation_id VARCHAR(36),
	user_id VARCHAR(255),
	assistant_id VARCHAR(36),
	assistant_service_id VARCHAR(255),
	prompt_tokens BIGINT DEFAULT '0' NOT NULL,
	completion_tokens BIGINT DEFAULT '0' NOT NULL,
	total_tokens BIGINT DEFAULT '0' NOT NULL,
	cached_tokens BIGINT DEFAULT '0' NOT NULL,
	reasoning_tokens BIGINT DEFAULT '0' NOT NULL,
	cost_micros BIGINT,
	cost_complete BOOLEAN NOT NULL,
	truncated BOOLEAN NOT NULL,
	call_count INTEGER NOT NULL,
	model_breakdown TEXT NOT NULL,
	call_details TEXT NOT NULL,
	provisional BOOLEAN NOT NULL,
	source VARCHAR(16) NOT NULL,
	usage_day VARCHAR(10) NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	metadata TEXT NOT NULL, generations BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_token_usage PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE INDEX ix_token_usage_assistant ON token_usage (workspace_id, assistant_id, created_datetime, id);

CREATE INDEX ix_token_usage_conversation ON token_usage (workspace_id, conversation_id, created_datetime, id);

CREATE INDEX ix_token_usage_created ON token_usage (workspace_id, created_datetime, id);

CREATE INDEX ix_token_usage_user ON token_usage (workspace_id, user_id, created_datetime, id);

CREATE UNIQUE INDEX uq_usage_message ON token_usage (message_id) WHERE message_id IS NOT NULL;

CREATE UNIQUE INDEX uq_usage_turn ON token_usage (turn_pk) WHERE turn_pk IS NOT NULL;

CREATE TABLE token_usage_models (
	workspace_id VARCHAR(63) NOT NULL,
	usage_id VARCHAR(36) NOT NULL,
	model VARCHAR(255) NOT NULL,
	model_ref VARCHAR(255),
	model_id VARCHAR(255),
	display_name VARCHAR(255),
	provider VARCHAR(255),
	prompt_tokens BIGINT NOT NULL,
	completion_tokens BIGINT NOT NULL,
	total_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	cost_micros BIGINT,
	cost_complete BOOLEAN NOT NULL,
	calls INTEGER NOT NULL,
	CONSTRAINT pk_token_usage_models PRIMARY KEY (workspace_id, usage_id, model)
)
 WITHOUT ROWID;

CREATE TABLE "turn_events" (
	workspace_id VARCHAR(63) NOT NULL,
	turn_pk VARCHAR(36) NOT NULL,
	seq BIGINT NOT NULL,
	epoch INTEGER NOT NULL,
	type VARCHAR(32) NOT NULL,
	at VARCHAR(27) NOT NULL,
	data TEXT NOT NULL,
	is_superseded BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_turn_events PRIMARY KEY (turn_pk, seq),
	CONSTRAINT fk_turn_events_workspace_id_turns FOREIGN KEY(workspace_id, turn_pk) REFERENCES turns (workspace_id, pk) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE turn_model_calls (
	workspace_id VARCHAR(63) NOT NULL,
	turn_pk VARCHAR(36) NOT NULL,
	call_id VARCHAR(128) NOT NULL,
	epoch INTEGER NOT NULL,
	model VARCHAR(255) NOT NULL,
	model_ref VARCHAR(255),
	model_id VARCHAR(255),
	display_name VARCHAR(255),
	provider VARCHAR(255),
	call_kind VARCHAR(50) NOT NULL,
	prompt_tokens BIGINT NOT NULL,
	completion_tokens BIGINT NOT NULL,
	total_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	reasoning_tokens BIGINT NOT NULL,
	cost_micros BIGINT,
	cost_source VARCHAR(16) NOT NULL,
	finish_reason VARCHAR(50),
	latency_ms BIGINT,
	late BOOLEAN DEFAULT 0 NOT NULL,
	created_datetime VARCHAR(27) NOT NULL,
	CONSTRAINT pk_turn_model_calls PRIMARY KEY (workspace_id, turn_pk, call_id)
)
 WITHOUT ROWID;

CREATE TABLE "turn_slots" (
	workspace_id VARCHAR(63) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	turn_id VARCHAR(128) NOT NULL,
	slot VARCHAR(8) NOT NULL,
	message_id VARCHAR(36) NOT NULL,
	CONSTRAINT pk_turn_slots PRIMARY KEY (conversation_id, turn_id, slot),
	CONSTRAINT fk_turn_slots_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE "turn_snapshots" (
	workspace_id VARCHAR(63) NOT NULL,
	turn_pk VARCHAR(36) NOT NULL,
	up_to_seq BIGINT NOT NULL,
	state TEXT NOT NULL,
	CONSTRAINT pk_turn_snapshots PRIMARY KEY (turn_pk),
	CONSTRAINT fk_turn_snapshots_workspace_id_turns FOREIGN KEY(workspace_id, turn_pk) REFERENCES turns (workspace_id, pk) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE "turns" (
	workspace_id VARCHAR(63) NOT NULL,
	pk VARCHAR(36) NOT NULL,
	conversation_id VARCHAR(36) NOT NULL,
	turn_id VARCHAR(128) NOT NULL,
	assistant_id VARCHAR(36) NOT NULL,
	initiator_role VARCHAR(16) NOT NULL,
	initiator_id VARCHAR(255) NOT NULL,
	user_id VARCHAR(255),
	assistant_service_id VARCHAR(255),
	parent_turn_id VARCHAR(128),
	producer_kind VARCHAR(16) NOT NULL,
	input_message_id VARCHAR(36),
	output_message_id VARCHAR(36) NOT NULL,
	input_hash VARCHAR(64) NOT NULL,
	options TEXT NOT NULL,
	deadline_at VARCHAR(27) NOT NULL,
	created_at VARCHAR(27) NOT NULL,
	status VARCHAR(16) NOT NULL,
	finish_reason VARCHAR(16),
	error_code VARCHAR(64),
	error_message TEXT,
	error_detail TEXT,
	epoch INTEGER NOT NULL,
	producer_id VARCHAR(255),
	lease_expires_at VARCHAR(27),
	lease_seconds INTEGER NOT NULL,
	last_seq BIGINT NOT NULL,
	last_batch BIGINT NOT NULL,
	log_floor BIGINT NOT NULL,
	is_published BOOLEAN NOT NULL,
	revision BIGINT NOT NULL,
	cancel_requested_at VARCHAR(27),
	cancel_requested_by VARCHAR(255),
	cancel_count INTEGER NOT NULL,
	usage_state VARCHAR(16) NOT NULL,
	started_at VARCHAR(27),
	finished_at VARCHAR(27),
	version BIGINT NOT NULL, is_budgeted BOOLEAN DEFAULT 0 NOT NULL, watched_until VARCHAR(27), log_bytes BIGINT DEFAULT '0' NOT NULL, folded_bytes BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_turns PRIMARY KEY (pk),
	CONSTRAINT fk_turns_workspace_id_conversations FOREIGN KEY(workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE INDEX ix_turns_conversation_id_created_at ON turns (conversation_id, created_at);

CREATE INDEX ix_turns_deadline_at ON turns (deadline_at) WHERE status IN ('opened', 'streaming');

CREATE INDEX ix_turns_finished_at ON turns (finished_at) WHERE log_floor < last_seq;

CREATE INDEX ix_turns_unbilled ON turns (pk) WHERE usage_state = 'pending';

CREATE INDEX ix_turns_watched_until ON turns (watched_until) WHERE watched_until IS NOT NULL AND status IN ('opened', 'streaming');

CREATE UNIQUE INDEX uq_turns_active ON turns (conversation_id, assistant_id) WHERE status IN ('opened', 'streaming');

CREATE UNIQUE INDEX uq_turns_conversation_id_turn_id ON turns (conversation_id, turn_id);

CREATE UNIQUE INDEX uq_turns_pk_workspace_id ON turns (pk, workspace_id);

CREATE TABLE users (
	workspace_id VARCHAR(63) NOT NULL,
	id VARCHAR(255) NOT NULL,
	name TEXT NOT NULL,
	image TEXT,
	service_user BOOLEAN NOT NULL,
	name_is_chosen BOOLEAN NOT NULL,
	created_datetime VARCHAR(27) NOT NULL, works_on_sessions BOOLEAN DEFAULT 1 NOT NULL, team_ids TEXT DEFAULT '[]' NOT NULL,
	CONSTRAINT pk_users PRIMARY KEY (workspace_id, id)
)
 WITHOUT ROWID;

CREATE TABLE workspace_choices (
	workspace_id VARCHAR(63) NOT NULL,
	choice VARCHAR(32) NOT NULL,
	wanted BOOLEAN NOT NULL,
	CONSTRAINT pk_workspace_choices PRIMARY KEY (workspace_id, choice)
)
 WITHOUT ROWID;

CREATE TABLE workspace_retention (
	workspace_id VARCHAR(63) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	seconds BIGINT,
	CONSTRAINT pk_workspace_retention PRIMARY KEY (workspace_id, kind)
)
 WITHOUT ROWID;

CREATE TABLE workspaces (
	workspace_id VARCHAR(63) NOT NULL,
	event_head BIGINT DEFAULT '0' NOT NULL,
	event_floor BIGINT DEFAULT '0' NOT NULL, file_bytes BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_workspaces PRIMARY KEY (workspace_id)
)
 WITHOUT ROWID;

INSERT INTO assistant_services (assistant_service_id, workspace_id, created_by_user_id, created_by_user_name, created_datetime, name, description, include_in_listing, api_key_name, api_key_encrypted, url, online_expires, api_key_expires, previous_key_encrypted, previous_key_expires, key_last_used, told_online, makes_turns) VALUES ('workbench.flow', '*', 'semantic-workbench', 'Semantic Workbench Service', '2026-01-01T00:00:00.000002Z', 'Flows', 'Assistants that services of running flows speak for.', 1, '', NULL, 'workbench:', '9999-01-01T00:00:00.000001Z', NULL, NULL, NULL, NULL, 1, 1);

INSERT INTO assistant_services (assistant_service_id, workspace_id, created_by_user_id, created_by_user_name, created_datetime, name, description, include_in_listing, api_key_name, api_key_encrypted, url, online_expires, api_key_expires, previous_key_encrypted, previous_key_expires, key_last_used, told_online, makes_turns) VALUES ('workbench.model', '*', 'semantic-workbench', 'Semantic Workbench Service', '2026-01-01T00:00:00.000001Z', 'Models', 'Assistants that this service hosts itself: language models with instructions and tools.', 1, '', NULL, 'workbench:', '9999-01-01T00:00:00.000001Z', NULL, NULL, NULL, NULL, 1, 1);

INSERT INTO alembic_version (version_num) VALUES ('0028');

-- By hand: since version 3.42 SQLite can take words out of its index at once, instead of when it tidies up.
INSERT INTO session_words (session_words, rank)
SELECT 'secure-delete', 1 WHERE CAST(substr(sqlite_version(), 3) AS INTEGER) >= 42;
