"""The people that the demo's organizations write to: ordinary ones, and every kind that breaks naive code."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from uuid import UUID


@dataclass(frozen=True)
class Contact:
    """A row of `contacts`, as its organization typed it."""

    id: UUID
    organization_id: UUID
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    phone: str | None


NAMES = (
    ("Olivia", "Bennett"),
    ("Noah", "O'Brien"),
    ("Zoë", "Müller"),
    ("Priya", "Raghunathan"),
    ("Łukasz", "Wiśniewski"),
    ("Siobhán", "Ní Dhomhnaill"),
    ("José María", "García-López"),
    ("Anh", "Nguyễn"),
    ("Björk", "Guðmundsdóttir"),
    ("Chukwuemeka", "Okafor"),
    ("山田", "太郎"),
    ("Ольга", "Кузнецова"),
    ("محمد", "الأحمد"),
    ("נועה", "לוי"),
    ("Jean-Luc", "d'Artagnan"),
    ('Robert "Bobby"', "Tables'); --"),
    ("Mia 🦄", "van der Berg"),
    ("Grace", "Hopper-Smythe, Ph.D."),
    ("<b>Ada</b>", "Lovelace & Co"),
    ("Wei", "Chen"),
    ("Thandiwe", "Nkosi"),
    ("Mateo", "Fernández"),
    ("Ingrid", "Sørensen"),
    ("X Æ A-12", "Musk"),
    ("Aarav", "Patel"),
    ("Emily", "Clarke"),
    ("Kwame", "Mensah"),
    ("Sofia", "Rossi"),
    ("Liam", "Murphy"),
    ("Hannah", "Schäfer"),
)
# What the left part of an address is made of: names in other scripts give none.
LOCAL_PARTS = (
    "olivia.bennett", "noah.o'brien", "zoe.mueller", "priya", "lwisniewski", "siobhan+sales", "jm.garcia", "anh.nguyen",
    "bjork", "c.okafor", "yamada", "olga_k", "m.alahmad", "noa.levy", "jldartagnan", "bobby.tables", "mia", "ghopper",
    "ada", "wei.chen", "thandiwe", "mateo-f", "ingrid.s", "x.ae.a-12", "apatel", "emily.clarke", "kwame.m", "srossi",
    "liam", "h.schaefer",
)  # fmt: skip
COMPANIES = (
    ("Northwind Traders", "northwind"),
    ("Bäckerei Grünwald GmbH & Co. KG", "gruenwald"),
    ("O'Reilly & Sons", "oreilly-sons"),
    ("Société Générale du Café", "sg-cafe"),
    ("<script>Acme</script> Inc.", "acme"),
    ('"Quoted" Holdings', "quoted"),
    ("株式会社サンプル", "sample-kk"),
    ("Contoso", "contoso"),
    ("Globex Corporation", "globex"),
    ("Initech", "initech"),
    ("Umbrella Retail", "umbrella"),
    ("Stark & Wayne 🚀", "starkwayne"),
    ("Hooli", "hooli"),
    ("شركة النخيل", "nakheel"),
    ("Vandelay Industries", "vandelay"),
)
MALFORMED = ("not-an-address", "anna@", "two@@example.com", "jane doe@example.com", "admin@localhost", "@example.org")
PHONES = ("+1 (415) 555-0132", "020 7946 0018", "+49 30 901820-55", "  +353 1 496 0000  ", "", None)


def people_of(random: Random, organization_id: UUID, number: int, start: int) -> list[Contact]:
    """`number` contacts of one organization; `start` counts those before, so that oddities are spread over all."""
    # A tiny organization knows one or two companies, a big one many; all have contacts who share one.
    companies = random.sample(COMPANIES, k=max(1, min(len(COMPANIES), number // 3)))
    contacts: list[Contact] = []
    for place in range(start, start + number):
        contacts.append(_contact(random, organization_id, place, companies, contacts))
    return contacts


def _contact(
    random: Random, organization_id: UUID, place: int, companies: list[tuple[str, str]], earlier: list[Contact]
) -> Contact:
    chosen = place % len(NAMES)
    first_name: str | None
    last_name: str | None
    first_name, last_name = NAMES[chosen]
    company, domain = random.choice(companies)
    email: str | None = f"{LOCAL_PARTS[chosen]}.{place}@{domain}.example.com".replace("..", ".")
    oddity = place % 25
    if oddity in (7, 16) and earlier and (known := random.choice(earlier)).email and "@" in known.email.strip("@"):
        # the same person once more, typed in by somebody else
        email = random.choice((str.upper, str.title, lambda text: f"  {text} "))(known.email)
        first_name, last_name = random.choice(
            ((known.first_name, known.last_name), (known.first_name, None), (first_name, known.last_name))
        )
    elif oddity == 5:
        email = random.choice((None, "", "   "))
    elif oddity == 13:
        email = random.choice(MALFORMED)
    elif oddity == 20 and email is not None:
        email = email.title()
    return Contact(
        id=UUID(int=random.getrandbits(128), version=4),
        organization_id=organization_id,
        email=email,
        first_name=random.choice((None, "", "  ")) if oddity in (3, 18) else first_name,
        last_name=None if oddity == 9 else last_name,
        company=random.choice((None, "")) if oddity in (2, 11, 22) else _respelled(random, company),
        phone=random.choice(PHONES),
    )


def _respelled(random: Random, company: str) -> str:
    """The company as another colleague would have typed it: in other case, with other white space."""
    return random.choice(
        (company, company, company.upper(), company.lower(), f" {company}  ", company.replace(" ", "  "))
    )
