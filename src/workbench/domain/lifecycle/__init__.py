"""How long things are kept, how a person is erased, and how much there is of everything."""
