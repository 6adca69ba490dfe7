"""What `make demo` prints: the boards, why somebody has these numbers, and commands to go on with."""

from datetime import UTC, datetime
from itertools import zip_longest

from deploy.local.client import board_path, commands, instant_text
from deploy.local.story import METRICS, OWNER, STAR, Play

_SERVICES = ("membership", "content", "campaigns", "scoring")


def describe(play: Play, url: str) -> str:
    """Tables and links for a person."""
    mine = f"?community={play.community}"
    links = [
        board_path(play.community, "activity"),
        f"{board_path(play.community, 'points')}/me",
        f"/scoring/v1/people/me/entries{mine}",
        f"/scoring/v1/events/{play.entries[-1]['event_id']}/effects",
        "/scoring/v1/people/me/commission",
        f"/scoring/v1/people/me/commission/entries{mine}",
        f"/content/v1/shares/{play.share['code']}",
        f"/membership/v1/invitations/{play.invitation['code']}/qr.svg",
    ]
    return "\n".join(
        [
            f"\nCommunity {play.community}, founded by {OWNER}",
            *_codes(play),
            "",
            *_boards(play),
            f"\n{STAR}'s points, entry by entry\n",
            *_explained(play),
            f"\n{STAR}'s commission, entry by entry\n",
            *_ledger(play),
            f"\nRead on as {STAR}:",
            *commands(url, STAR, links),
            f"API pages: {', '.join(f'{url}/{name}/docs' for name in _SERVICES)}",
        ]
    )


def _codes(play: Play) -> list[str]:
    invitation, share = play.invitation, play.share
    return [
        f"  invitation {invitation['code']}, used up by {invitation['max_uses']} people; the last command below gets its QR code",
        f"  short link {share['link']}, opened by {share['visits']}, shared on by {share['children']}",
    ]


def _boards(play: Play) -> list[str]:
    """The three leaderboards, side by side."""
    lines = ["  " + "".join(f"{'rank':>4}  {'person':<6}{metric:>11}    " for metric in METRICS).rstrip()]
    columns = [
        [f"{item['rank']:>4}  {item['person']:<6}{_shown(item):>11}" for item in play.boards[metric]]
        for metric in METRICS
    ]
    for cells in zip_longest(*columns, fillvalue=""):
        lines.append("  " + "".join(f"{cell:<23}    " for cell in cells).rstrip())
    return lines


def _shown(item: dict[str, object]) -> str:
    value = item["value"]
    if (currency := item.get("currency")) is not None:
        assert isinstance(value, int)
        return f"{money(value)} {currency}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _explained(play: Play) -> list[str]:
    lines = [f"  {'wanted':>6}  {'given':>6}  {'why less':<10}  {'fact':<31}  event"]
    for entry in play.entries:
        numbers = f"{entry['points_wanted']:>+6}  {entry['points_given']:>+6}  {entry['reason'] or '':<10}"
        lines.append(f"  {numbers}  {entry['type']:<31}  {entry['event_id']}")
    total = sum(entry["points_given"] for entry in play.entries)
    lines.append(
        f"  {'':>6}  {total:>6}  points in this community; {play.balance} in all communities of the organization"
    )
    return lines


def _ledger(play: Play) -> list[str]:
    now = instant_text(datetime.now(UTC))
    lines = [f"  {'order':<15}  level  {'rate':>5}  {'amount':>7}  {'':<24}  fact"]
    for entry in play.ledger:
        rate = f"{entry['rate_basis_points'] / 100:.0f} %"
        terms = f"{entry['order_id']:<15}  {entry['level']:>5}  {rate:>5}  {money(entry['amount_minor']):>7}"
        when = "pending until" if entry["payable_at"] > now else "payable since"
        lines.append(f"  {terms}  {when} {entry['payable_at'][:10]}  {entry['type']}")
    earned = play.commission
    total, pending, payable = (money(earned[f"{part}_minor"]) for part in ("total", "pending", "payable"))
    lines.append(f"  {'':<29}  {total:>7}  {earned['currency']}: {pending} pending, {payable} payable")
    return lines


def money(minor: int) -> str:
    """Minor units of a currency that has a hundred of them."""
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02}"
