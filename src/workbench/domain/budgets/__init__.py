"""How much may be spent on models, by whom and until when, and the refusal that comes before the spend."""
