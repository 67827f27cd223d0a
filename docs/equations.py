"""Equations as docstrings have them, ``v ← β2·v + (1−β2)·g²``, drawn as mathematics.

A block is read line by line; two spaces or more divide columns, and words stay words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)
    |(?P<letter>[α-ωΑ-ΡΤ-Ω]|[A-Za-z]+)(?P<hat>\u0302)?(?P<digits>\d+|(?<=Δ)[a-z]+)?
        (?:_(?P<below>\{[^}]*\}|[A-Za-z0-9α-ω∞]+(?:_[A-Za-z]+)*))?(?P<prime>')?
    |(?P<sign>\S)""",
    re.VERBOSE,
)
FUNCTIONS = {"max", "min", "clamp", "sign", "rms", "mean", "NS", "qr"}
NAMES = {"lr", "adjust", "dampening"}
BETWEEN = {
    "←": r" \leftarrow ",
    "=": " = ",
    "≈": r" \approx ",
    ">": " > ",
    "≤": r" \le ",
    ",": r",\; ",
    ";": r";\quad ",
}
ADDED = {"+": " + ", "−": " - ", "±": r" \pm "}
CLOSING = {"(": ")", "|": "|", "‖": "‖", "⟨": "⟩"}
DRAWN = {"‖": (r"\lVert ", r" \rVert"), "⟨": (r"\langle ", r" \rangle")}
AFTER = {"²": "^2", "ᵗ": "^t", "ᵀ": r"^\top", "₁": "_1", "₊": "_+", "₋": "_-"}
PLAIN = {"½": r"\tfrac12", "…": r"\ldots "}


class Token(NamedTuple):
    kind: str  # "number", "name", "function", "words", or a sign itself
    text: str  # LaTeX, but of words and signs


class Part(NamedTuple):
    """A piece of LaTeX, and the same without brackets around the whole of it."""

    text: str
    bare: str


def tokens_of(text: str) -> list[Token]:
    """What a column is made of; words that follow one another are one token."""
    found: list[Token] = []
    for match in TOKEN.finditer(text):
        token = token_of(match)
        article = found and token.kind == "words" and found[-1] == Token("name", "a")
        if article or (found and token.kind == found[-1].kind == "words"):
            token = Token("words", f"{found.pop().text} {token.text}")
        found.append(token)
    return found


def token_of(match: re.Match[str]) -> Token:
    if match["sign"]:
        return Token(match["sign"], match["sign"])
    if match["number"]:
        return Token("number", re.sub(r"^1e(.+)", r"10^{\1}", match["number"]))
    letter, below = match["letter"], match["below"]
    if letter in FUNCTIONS and match.string[match.end() :].startswith("("):
        return Token("function", rf"\operatorname{{{letter}}}")
    if len(letter) > 1 and (letter not in NAMES or len(below or "") > 1):
        return Token("words", match[0])
    text = rf"\mathrm{{{letter}}}" if len(letter) > 1 else letter
    if match["hat"]:
        text = rf"\hat{{{text}}}"
    indices = [index for index in (match["digits"], below) if index]
    if indices:
        text += rf"_{{{','.join(map(index_of, indices))}}}"
    return Token("name", text + (match["prime"] or ""))


def index_of(index: str) -> str:
    if index.startswith("{"):
        return latex_of(index[1:-1])
    return rf"\mathrm{{{index}}}" if re.fullmatch("[a-z]{2,}", index) else index


class Reader:
    """Reads one column of a line by recursive descent."""

    def __init__(self, text: str) -> None:
        self.rest = tokens_of(text)
        self.open: list[str] = []

    def peek(self) -> str:
        return self.rest[0].kind if self.rest else ""

    def take(self) -> str:
        if not self.rest:
            raise ValueError("something has to follow")
        return self.rest.pop(0).text

    def relations(self) -> str:
        text = ""
        while True:
            if self.peek() and self.peek() not in BETWEEN:
                text += self.sum()
            if self.peek() not in BETWEEN:
                return text
            text += BETWEEN[self.take()]

    def sum(self) -> str:
        text = ADDED[self.take()].lstrip() if self.peek() in ADDED else ""
        text += self.product()
        while self.peek() in ADDED:
            text += ADDED[self.take()] + self.product()
        return text

    def product(self) -> str:
        """Factors from left to right, so that what stands before a slash is above the line."""
        left = self.factor()
        while self.rest and self.peek() not in {*BETWEEN, *ADDED, *self.open[-1:]}:
            if self.peek() == "/":
                self.take()
                fraction = rf"\frac{{{left.bare}}}{{{self.factor().bare}}}"
                left = Part(fraction, fraction)
                continue
            between = ""
            if self.peek() == "·":
                self.take()
                between = r" \cdot "
            text = left.text + between + self.factor().text
            left = Part(text, text)
        return left.text

    def factor(self) -> Part:
        part = self.atom()
        while self.peek() in {*AFTER, "^"}:
            sign = self.take()
            raised = AFTER[sign] if sign in AFTER else rf"^{{{self.atom().bare}}}"
            part = Part(part.text + raised, part.text + raised)
        return part

    def atom(self) -> Part:
        kind, text = self.peek(), self.take()
        if kind in CLOSING:
            return self.bracketed(kind)
        if kind == "√":
            text = rf"\sqrt{{{self.factor().bare}}}"
        elif kind == "Σ":
            text = rf"\sum {self.factor().text}"
        elif kind == "words":
            text = rf"\text{{ {text} }}"
        elif kind == "function":
            text += self.atom().text
        elif kind in PLAIN:
            text = PLAIN[kind]
        elif kind not in {"number", "name"}:
            raise ValueError(f"{text!r} has no place in an equation")
        return Part(text, text)

    def bracketed(self, opening: str) -> Part:
        self.open.append(CLOSING[opening])
        inner = self.relations()
        if self.peek() != self.open.pop():
            raise ValueError(f"{opening!r} is not closed")
        self.take()
        left, right = DRAWN.get(opening, (opening, CLOSING[opening]))
        text = rf"\left{left}{inner}\right{right.lstrip()}"
        if opening != "(":
            return Part(text, text)
        return Part(inner if is_fraction(inner) else text, inner)


def is_fraction(latex: str) -> bool:
    """Whether all of it is one fraction, which needs no brackets as a factor."""
    depth, ends = 0, []
    for place, character in enumerate(latex):
        depth += (character == "{") - (character == "}")
        if character == "}" and depth == 0:
            ends.append(place)
    return latex.startswith(r"\frac{") and ends[1:2] == [len(latex) - 1]


def latex_of(column: str) -> str:
    """LaTeX of a column; a ValueError where it is none that can be read."""
    reader = Reader(column)
    text = reader.relations()
    if reader.rest:
        raise ValueError(f"{reader.take()!r} has no place in {column!r}")
    return text.replace(r"\text{ ", r"\text{", 1) if text.startswith(r"\text{ ") else text


def aligned(block: str) -> str:
    """LaTeX of a block, with its columns one below the other."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in block.splitlines() if line.strip()]
    rows = [r" && ".join(map(latex_of, line)) for line in lines]
    return "\\begin{aligned}\n& " + " \\\\[6pt]\n& ".join(rows) + "\n\\end{aligned}"
