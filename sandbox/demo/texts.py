"""What people answer to outreach e-mail, by what they mean."""

from __future__ import annotations

INTENTS: dict[str, tuple[float, tuple[str | None, ...], tuple[str, ...], str | None]] = {
    # name: how often, the words classifiers use for it, the sentiments, what they propose to do next
    "interested": (0.24, ("interested", "Interested", "INTERESTED"), ("positive", "very_positive"), "schedule_call"),
    "question": (0.16, ("question", "Question"), ("neutral", "positive"), "answer_question"),
    "objection": (0.09, ("objection",), ("negative", "neutral"), "handle_objection"),
    "not_interested": (0.15, ("not_interested", "Not interested", "not-interested"), ("negative",), "close"),
    "out_of_office": (0.11, ("out_of_office", "Out of office", "OOO"), ("neutral",), "wait"),
    "unsubscribe": (0.06, ("unsubscribe", "Unsubscribe"), ("negative",), "remove_from_list"),
    "bounce": (0.05, ("bounce", "hard_bounce"), ("neutral",), "check_address"),
    "unclear": (0.05, (None, ""), ("neutral",), None),
    "other": (
        0.09,
        ("referral", "maybe_later", "Wrong Person", "meeting_request", "🤷", "спросить позже"),
        ("neutral", "mixed"),
        "review",
    ),
}

SUBJECTS: dict[str, tuple[str, ...]] = {
    "interested": ("Re: Quick question about {company}", "RE: Cutting your reporting time", "Yes, let's talk", "👍"),
    "question": ("Re: Pricing?", "Re: {company} – how does onboarding work?", 'What do you mean by "live sync"?'),
    "objection": ("Re: Quick question", "RE: Re: Fwd: your proposal", "Not sure this fits us"),
    "not_interested": ("Re: Quick question", "No thanks", "Please don't follow up"),
    "out_of_office": ("Automatic reply: Quick question", "Out of Office Re: Following up", "Abwesend: Re: Angebot"),
    "unsubscribe": ("unsubscribe", "STOP", "Re: please take me off your list"),
    "bounce": ("Undelivered Mail Returned to Sender", "Delivery Status Notification (Failure)"),
    "unclear": ("Re:", "", "(kein Betreff)"),
    "other": ("Re: wrong person, sorry", "Fwd: who handles this?", "Re: <b>Q4</b> & beyond", "回复：合作"),
}

BODIES: dict[str, tuple[str, ...]] = {
    "interested": (
        "Hi,\n\nthis is good timing: we are looking at exactly this for {company} right now. "
        "Could you do {day} at 10:00?\n\nBest,\n{name}",
        "Sounds great! 🎉 Send me the deck and a couple of slots, I'll bring our head of ops along.\n{name}",
        "Yes. What does it cost for a team of 40, and can we start before the end of the quarter?\n\n-- \n{name}",
        "Count me in. I'd like to see how it handles our Salesforce mess first – does {day} work for a demo?",
        "<div>Hello,<br>we'd <b>love</b> to try it.</div><div>{name}</div>",
        "Interesting! My colleague's team had the same problem; she said it's \"night & day\". Call me on {day}.",
    ),
    "question": (
        "Thanks for reaching out. Two questions before I forward this:\n1) where is the data stored?\n"
        "2) do you support SSO (Okta)?\n\n{name}",
        "How is this different from what we have? We're on HubSpot & a pile of spreadsheets at {company}.",
        "Does the price include onboarding? I couldn't find it on your website.\r\n\r\n{name}",
        "Who else in our industry uses it? A reference in the UK would help.",
        "هل تدعمون اللغة العربية؟ نحتاج إلى ذلك لفريقنا في دبي.\n\n{name}",
    ),
    "objection": (
        "We looked at something similar last year and it was too expensive for what it did. What changed?\n{name}",
        "Our IT won't allow another tool that touches customer data. Sorry.",
        "We're locked into a contract until next summer, so there is little point in talking <now>.",
        "Honestly, 1,000 a month for 3 people isn't realistic for {company}.",
    ),
    "not_interested": (
        "No thank you, we're all set.",
        "Not something we'd consider. Please don't write again.\n{name}",
        "Thanks, but {company} builds this in-house.",
        "We have decided to go another way; it wasn't an easy call, but it's final. All the best!",
    ),
    "out_of_office": (
        "Thank you for your message. I am out of the office until {day} with limited access to e-mail. "
        "In urgent cases please contact our front desk.\n\n{name}",
        "Ich bin bis einschließlich {day} nicht im Büro. Ihre Nachricht wird nicht weitergeleitet.",
        "I'm on parental leave 👶 and will be back in spring. {name}",
    ),
    "unsubscribe": (
        "unsubscribe",
        "Take me off this list. This is the third time I am asking.",
        "Please remove my data in accordance with GDPR Art. 17.\n{name}",
    ),
    "bounce": (
        "This is the mail system at host mx1.example.net.\n\nI'm sorry to have to inform you that your message could "
        "not be delivered to one or more recipients.\n\n550 5.1.1 User unknown",
        "Address not found: your message wasn't delivered because the address couldn't be found.",
    ),
    "unclear": ("ok", "?", "See attached.", "Sent from my iPhone"),
    "other": (
        "I'm not the right person for this, try our CFO.",
        "Maybe next year. Ping me in Q2 – we'll know our budget then.\n{name}",
        "אני כבר לא עובד שם, נא לפנות למשרד. תודה!",
        "Let's meet at the conference on {day}; I'll be at the {company} booth. ☕",
        "您好，请联系我们的采购部门。\n{name}",
    ),
}

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
PRIORITIES = {"interested": ("urgent", "high", "high", "medium"), "question": ("high", "medium")}
OTHER_PRIORITIES = ("medium", "low", "low", None)
ORGANIZATIONS = (
    "Brightline Outreach", "Kestrel Growth Partners", "Papaya & Söhne", "Fjord Analytics", "Mockingbird Media",
    "L'Atelier du Web", "Redwood Recruiting", "Tidewater Logistics", "Quantum Leap Coaching", "Sunny Side Solar",
    "Blue Heron Legal", "Café Zürich Supplies", "Old Mill Insurance", "Pixel & Plum", "Granite State Payroll",
    "Ōkami Robotics", "Harbor Lights Travel", "Tiny Teapot Studio", "Solo Consulting 1", "Solo Consulting 2",
)  # fmt: skip
