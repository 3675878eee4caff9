"""How the reasoning model works things out: each function gives the one line of steps for its kind of problem. Needs only
the standard library."""
import re


def sum(a, b):
    """Column by column from the right with the carry; numbers below 100 at once."""
    if a < 100 and b < 100:
        return "%d+%d=%d" % (a, b, a + b)
    out, carry, x, y = [], 0, a, b
    while x or y:
        s = x % 10 + y % 10 + carry
        out.append("%d+%d%s=%d" % (x % 10, y % 10, "+1" if carry else "", s))
        carry, x, y = s // 10, x // 10, y // 10
    return ", ".join(out) + ": %d" % (a + b)


def difference(a, b):
    """Column by column from the right; a column that is too small gets ten, and the next loses one."""
    if a < b:
        return "%d<%d, %s, so -%d" % (a, b, difference(b, a), b - a)
    if a < 100:
        return "%d-%d=%d" % (a, b, a - b)
    out, borrow, x, y = [], 0, a, b
    while x or y:
        top = x % 10 + (10 if x % 10 - y % 10 - borrow < 0 else 0)
        out.append("%d-%d%s=%d" % (top, y % 10, "-1" if borrow else "", top - y % 10 - borrow))
        borrow, x, y = int(top >= 10), x // 10, y // 10
    return ", ".join(out) + ": %d" % (a - b)


def _by_digit(a, d):
    """a times the digit d."""
    if a < 13 or a % 10 == 0 and a < 130:
        return "%dx%d=%d" % (a, d, a * d)
    tens, ones = a // 10 * 10, a % 10
    return "%dx%d=%d, %dx%d=%d, %d+%d=%d" % (tens, d, tens * d, ones, d, ones * d, tens * d, ones * d, a * d)


def product(a, b):
    """By the digits of the second factor, tens first."""
    if b < 10:
        return _by_digit(a, b)
    tens, ones = b // 10, b % 10
    out = "%dx%d: %s, so %d" % (a, 10 * tens, _by_digit(a, tens), 10 * tens * a)
    if not ones:
        return out
    return out + "; %dx%d: %s; %d+%d=%d" % (a, ones, _by_digit(a, ones), 10 * tens * a, ones * a, a * b)


def quotient(a, b):
    """Long division: digit after digit."""
    out, rest = [], 0
    for digit in str(a):
        n = 10 * rest + int(digit)
        rest = n % b
        out.append("%d/%d=%d r %d" % (n, b, n // b, rest))
    return ", ".join(out)


def chain(terms):
    """Term after term."""
    out, total = [], terms[0]
    for x in terms[1:]:
        out.append("%d%s%d=%d" % (total, "-" if x < 0 else "+", abs(x), total + x))
        total += x
    return ", ".join(out)


def expression(text):
    """(value, steps): brackets first, then products, then sums, each from the left."""
    out, s = [], text.replace(" ", "")
    while True:
        for pattern in (r"\((\d+)([-+])(\d+)\)", r"(?<!\d)(\d+)(x)(\d+)", r"(?<!\d)(\d+)([-+])(\d+)"):
            m = re.search(pattern, s)
            if m:
                break
        else:
            return int(s), ", ".join(out)
        a, op, b = int(m[1]), m[2], int(m[3])
        value = a * b if op == "x" else a + b if op == "+" else a - b
        out.append("%d%s%d=%d" % (a, op, b, value))
        s = s[: m.start()] + str(value) + s[m.end() :]
        if value < 0:
            return value, ", ".join(out)


def series(f):
    """The first two gaps tell whether it adds or multiplies."""
    a, b, c, d = f["s"][:4]
    gap = lambda x, y: "%d-%d=%d" % (y, x, y - x)
    if f["kind"] == "times":
        return "%s, %s, so x%d: %dx%d=%d" % (gap(a, b), gap(b, c), f["f"], d, f["f"], f["c"])
    op = "-%d" % -f["f"] if f["f"] < 0 else "+%d" % f["f"]
    return "%s, %s, so %s: %d%s=%d" % (gap(a, b), gap(b, c), op, d, op, f["c"])


def clock(h, m, plus):
    out, total = ["%d+%d=%d" % (m, plus, m + plus)], m + plus
    while total >= 60:
        total, h = total - 60, h + 1
        out.append("%d-60=%d, %d+1=%d" % (total + 60, total, h - 1, h))
        if h == 24:
            out.append("24 is 0")
            h = 0
    return ", ".join(out)


def riddle(f):
    """Backwards."""
    y, a, b, x = f["y"], f["a"], f["b"], f["c"]
    return {"plus": "%d-%d=%d" % (y, b, x), "minus": "%d+%d=%d" % (y, b, x), "times": "%d/%d=%d" % (y, a, x),
            "both": "%d-%d=%d, %d/%d=%d" % (y, b, y - b, y - b, a, x)}[f["kind"]]


def letters(word, letter):
    """The word letter by letter, counting."""
    out, n = [], 0
    for x in word:
        n += x == letter
        out.append("%s%d" % (x, n) if x == letter else x)
    return " ".join(out)
