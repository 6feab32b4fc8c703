"""The named errors. Each message says what was wanted, what was got, where, and what to do next."""


class ReelhouseError(Exception):
    """Base of all errors that a user can act on; the command line prints the message without a traceback."""

    exit_code = 1


class SettingsError(ReelhouseError):
    """Unknown, missing or ill-typed settings, all of them in one message."""

    exit_code = 2


class LateError(ReelhouseError):
    """The day was done, but after its deadline."""

    exit_code = 3


class ManifestError(ReelhouseError):
    """A manifest as a whole can't be read: a missing or unknown column, an encoding, an unreadable file."""


class TaxonomyError(ReelhouseError):
    """A label tree is broken: a cycle, an unknown parent, an id twice."""


class SchemaMismatchError(ReelhouseError):
    """A write whose columns are not those of the table. Nothing was committed."""


class QuarantineLimitError(ReelhouseError):
    """More rows were refused than the settings allow. Names table, rule, count and three examples."""

    exit_code = 4


class AuditError(ReelhouseError):
    """A check of a table as a whole failed. Nothing was published."""


class StorageError(ReelhouseError):
    """The storage refused a read or a write: full disk, read-only folder, missing permission."""


class DamagedTableError(StorageError):
    """A file of a table, or of its log, is damaged or lost. table: its name. date: the day whose rows are concerned, if it is known."""

    def __init__(self, message: str, table: str = "", date: str | None = None) -> None:
        super().__init__(message)
        self.table, self.date = table, date


class SparkError(ReelhouseError):
    """Spark's JVM ended while somebody worked with it."""


class RegistryError(ReelhouseError):
    """The MLflow server does not answer, or refuses."""


class LockedError(ReelhouseError):
    """Another run holds the date or the table."""

    exit_code = 5


class ReadOnlyError(ReelhouseError):
    """A statement that would change something where only questions are taken."""

    exit_code = 2


class VideoError(ReelhouseError):
    """One video can't be used. `rule` is a short name for ops.quarantine: missing_file, empty_file, not_a_video, no_frames, ..."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class VectorError(ReelhouseError):
    """Vectors that can't be computed with: NaN, infinite, wrong shape. Names the first such row."""


class LabelError(ReelhouseError):
    """Labels that nothing can be learned from: fewer than two classes with enough labels."""


class TrainingError(ReelhouseError):
    """Training failed: a rank died, rows were lost, a loss is not finite."""


class ModelNotFoundError(ReelhouseError):
    """No model of that version or alias is registered."""


class PromotionError(ReelhouseError):
    """A model can't be promoted, rejected or gone back to as asked; nothing was changed."""


class ServerError(ReelhouseError):
    """A server of ours can't start, or ended by itself."""


class VectorStoreError(ReelhouseError):
    """Milvus refused, or holds other rows than Delta."""


class NotFoundError(ReelhouseError):
    """A video, job, table or date that does not exist; the message lists what does."""
