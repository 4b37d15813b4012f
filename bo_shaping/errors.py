"""Errors of the outer loop. Each message is one sentence for the person at the keyboard, with the remedy."""


class BoShapingError(Exception):
    """Base of every error that `bo_shaping` raises on purpose."""


class ConfigError(BoShapingError, ValueError):
    """A study configuration that cannot be used: a missing file, an unknown key, a value out of range."""


class StudyChangedError(ConfigError):
    """A configuration that is not the one the study was launched with."""


class ExplainInputError(BoShapingError, ValueError):
    """Texts or settings that `bo-shaping explain` cannot use: a missing file, a bad line, an unknown method."""


class StudyExistsError(BoShapingError, FileExistsError):
    """A study of that name is already there."""


class ExperimentFileError(BoShapingError, ValueError):
    """A saved experiment that no study can be made of: damaged, foreign, or naming code that nobody vouched for."""


class StudyNotFoundError(BoShapingError, FileNotFoundError):
    """There is no such study."""


class TrialNotFoundError(BoShapingError, LookupError):
    """There is no such trial in the study."""


class StudyLockedError(BoShapingError, RuntimeError):
    """Another process is driving the study."""


class FencedError(StudyLockedError):
    """This process drove the study until another one took it over."""


class DashboardError(BoShapingError, RuntimeError):
    """The dashboard cannot be shown as asked for: a missing extra, a port that is taken."""


class OutputError(BoShapingError, OSError):
    """A file that somebody asked for cannot be written."""


class StorageError(BoShapingError, RuntimeError):
    """The study's database or one of its files cannot be read or written."""


class ConnectionLostError(StorageError):
    """The database server went away in the middle; what was begun can be done again."""


class TrialResultError(BoShapingError, ValueError):
    """A trial's result that must not reach the surrogate: unreadable, not finite, or of another trial."""


class ExecutorError(BoShapingError, RuntimeError):
    """Trials cannot be run as configured: a missing extra, no cluster there, a worker that cannot be ended."""


class TooFewTrialsError(BoShapingError, ValueError):
    """Fewer completed trials than a Gaussian process can be fitted to."""


class TrainingError(BoShapingError, RuntimeError):
    """A training outside the search that failed, or cannot be run as asked."""


class TellError(BoShapingError, ValueError):
    """A trial or an outcome that somebody else's inner loop may not tell."""


class RetryError(BoShapingError, ValueError):
    """A trial that cannot be run again."""


class TooManyFailuresError(BoShapingError, RuntimeError):
    """So many trials failed that the study waits for a person."""


class StopRequested(KeyboardInterrupt):
    """Somebody asked the driver to stop (`Study.stop`); it ends as after Ctrl-C."""
