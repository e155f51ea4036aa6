"""Language models, a file for each provider: only that of the chosen one is imported, for they take seconds to load.

The libraries' own repetitions are off, since who asks decides how often; and where settings have a place for
something, the variable of the environment that a library would read for it is not looked at.
"""
