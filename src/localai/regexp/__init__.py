"""Go's regular expressions: the language of the patterns in model files.

`Pattern` reads one and looks for it in time linear in the text, and `replaced` puts other texts in
place of its matches. Both count their steps, so that no pattern of a model file can hang a process.
The room knows nothing of the others and needs the standard library only.
"""

from localai.regexp.pattern import Captures, Charge, Pattern, compiled, span
from localai.regexp.replace import replaced
from localai.regexp.steps import Steps, TooManySteps
from localai.regexp.syntax import BadPattern

__all__ = [
    "BadPattern",
    "Captures",
    "Charge",
    "Pattern",
    "Steps",
    "TooManySteps",
    "compiled",
    "replaced",
    "span",
]
