"""The processes of the server: the supervisor, its workers, their listener."""
