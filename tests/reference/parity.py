"""Lost packets rebuilt as docs/FORMAT.md section 5A says, in plain Python; part of the decoder."""

from __future__ import annotations


def multiply(left: int, right: int) -> int:
    """Section 5A: product in GF(256), bit by bit."""
    result = 0
    while right:
        result ^= left * (right & 1)
        left = left << 1 ^ (0x11D if left & 128 else 0)
        right >>= 1
    return result


def powers(base: int, count: int) -> list[int]:
    """The first powers, from the zeroth."""
    result = [1]
    while len(result) < count:
        result.append(multiply(result[-1], base))
    return result


def rebuild(header: dict[str, int], given: dict[int, bytes], sizes: list[int]) -> dict[int, bytes]:
    """Section 5A: data payloads, lost ones too; `sizes` exactly in coding mode 0, else at most.

    By the M roots of the codewords' polynomials: one equation for each, and one unknown for each
    packet that is lost, parity packets included.
    """
    count, is_fixed = header["n_packets"], header["coding"] == 0
    data = {index: payload for index, payload in given.items() if index < count}
    groups: dict[tuple[int, int], dict[int, bytes]] = {}
    for index, payload in sorted(given.items()):
        if count < 2 or index < count or not payload:
            continue
        more, size = payload[0], len(payload) - 1
        is_right = size == max(sizes) if is_fixed else size <= max(sizes)
        if (
            index < count + more <= 255
            and is_right
            and size >= max(map(len, data.values()), default=0)
        ):
            groups.setdefault((more, size), {})[index] = payload[1:]
    if len(data) == count or not groups:
        return data
    (more, size), parity = max(groups.items(), key=lambda group: len(group[1]))
    lost = [index for index in range(count + more) if index not in data and index not in parity]
    if len(lost) > more:
        return data
    factors = [powers(root, count + more)[::-1] for root in powers(2, more)]
    rows = []
    for factor in factors:
        known = [0] * size
        for index, payload in (data | parity).items():
            for k, value in enumerate(payload):
                known[k] ^= multiply(factor[index], value)
        rows.append([factor[index] for index in lost] + known)
    for at in range(len(lost)):
        pivot = next(r for r in range(at, len(rows)) if rows[r][at])
        rows[at], rows[pivot] = rows[pivot], rows[at]
        inverse = powers(rows[at][at], 255)[254]
        rows[at] = [multiply(inverse, value) for value in rows[at]]
        for r in range(len(rows)):
            if r != at and rows[r][at]:
                factor = rows[r][at]
                rows[r] = [a ^ multiply(factor, b) for a, b in zip(rows[r], rows[at], strict=True)]
    if any(any(row) for row in rows[len(lost) :]):  # equations that nothing solves
        return data
    rebuilt = {}
    for index, row in zip(lost, rows[: len(lost)], strict=True):
        if index < count:
            payload = bytes(row[len(lost) :])
            cut = payload[: sizes[index]] if is_fixed else payload.rstrip(b"\0")
            if len(cut) > sizes[index] or any(payload[sizes[index] :]):
                return data
            rebuilt[index] = cut
    return data | rebuilt
