"""What is asked of the engine."""


class Request:
    """What is asked, by whom."""

    def __init__(self, user, query, database, output, parameters, settings, readonly):
        self.user = user
        self.query = query
        self.database = database
        self.output = output
        self.parameters = parameters
        self.settings = settings
        self.readonly = readonly or user["readonly"]
