"""The words of the demo's messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    address: str


OWNER = Person("Alex Example", "alex@example.org")

PEOPLE = (
    Person("Maria Sanz", "maria.sanz@example.com"),
    Person("Jürgen Weiß", "juergen@example.net"),
    Person("Zoë O'Neill", "zoe@example.com"),
    Person("佐藤 花子", "hanako@example.jp"),
    Person("Ольга Иванова", "olga@example.net"),
    Person("Łukasz Nowak", "lukasz@example.pl"),
    Person("Fatima El-Sayed", "fatima@example.org"),
    Person("Doe, Jane (Accounts)", "jane.doe@example.com"),
    Person("Priya Raman", "priya@example.in"),
    Person("", "noreply@shop.example.com"),
)

THREADS = (
    "Moving the archive to the new server",
    "Lunch on Thursday?",
    "Budget 2026: third draft",
    "Grüße aus Köln",
    "Re-wiring the meeting room",
    "打ち合わせの件",
    "Отчёт за октябрь",
    "Interview schedule, week 42",
    "The printer on floor 2 again",
    "Photos from the trip 📷",
    "Contract renewal: Müller & Söhne GmbH, reference 2025/0417, final comments before it goes to the lawyers",
    "Quarterly figures",
    "Réunion du comité: ordre du jour",
    "Backup failed on host17",
    "Welcome to the team",
)

SENTENCES = (
    "Thanks for the quick answer.",
    "I have gone through the list and marked what is still open.",
    "Could you have a look at the second page before tomorrow?",
    "From here on it should run without us.",
    "The numbers of last month are attached.",
    "We agreed on Tuesday at ten, in the small room.",
    "Es bleibt bei Freitag, 14 Uhr; ich bringe die Unterlagen mit.",
    "Je vous envoie la version corrigée dès que possible.",
    "It took two attempts, but nothing was lost.",
    "Please keep this between us until the announcement.",
    "The old address works until the end of the year.",
    "資料は添付のとおりです。",
    "Let me know whether that suits you.",
    "I would rather wait for the next release than patch this one.",
    "Nobody has complained so far, which is either good or suspicious.",
)

LIST_SUBJECTS = (
    "Proposal: drop support for the 2.x series",
    "[PATCH 0/3] Bound the size of the header cache",
    "[PATCH 1/3] Count octets, not characters",
    "Release candidate 4 is out",
    "How do you test time-outs?",
    "RFC: a shorter name for the long option",
)
