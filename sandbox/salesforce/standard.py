"""The standard objects of a new org, as far as they matter to those who write people, companies and deals."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.salesforce.schema import Field, SObject, options

LONG_TEXT = 32_000
KEY_FIELD = "CRM_Sync_Key__c"
KEYED = ("Account", "Contact", "Lead", "Opportunity")
STAGES = {
    "Prospecting": (10, False, False),
    "Qualification": (10, False, False),
    "Needs Analysis": (20, False, False),
    "Value Proposition": (50, False, False),
    "Id. Decision Makers": (60, False, False),
    "Perception Analysis": (70, False, False),
    "Proposal/Price Quote": (75, False, False),
    "Negotiation/Review": (90, False, False),
    "Closed Won": (100, True, True),
    "Closed Lost": (0, True, False),
}
"""Stages of an opportunity: its probability in percent, whether it is closed, whether it is won."""

CONVERTED = "Closed - Converted"
_INDUSTRIES = (
    "Agriculture", "Apparel", "Banking", "Biotechnology", "Chemicals", "Communications", "Construction", "Consulting",
    "Education", "Electronics", "Energy", "Engineering", "Entertainment", "Environmental", "Finance",
    "Food & Beverage", "Government", "Healthcare", "Hospitality", "Insurance", "Machinery", "Manufacturing", "Media",
    "Not For Profit", "Recreation", "Retail", "Shipping", "Technology", "Telecommunications", "Transportation",
    "Utilities", "Other",
)  # fmt: skip
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
_RATINGS = ("Hot", "Warm", "Cold")
_SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx.")
_KINDS = (
    "Prospect", "Customer - Direct", "Customer - Channel", "Channel Partner / Reseller", "Installation Partner",
    "Technology Partner", "Other",
)  # fmt: skip
_ROLES = (
    "Business User", "Decision Maker", "Economic Buyer", "Economic Decision Maker", "Evaluator", "Executive Sponsor",
    "Influencer", "Technical Buyer", "Other",
)  # fmt: skip
_SUBTYPES = ("Task", "Email", "ListEmail", "Cadence", "Call", "LinkedIn")


def text(name: str, length: int, label: str = "", *, required: bool = False) -> Field:
    return Field(name, "string", label, length, nillable=not required)


def picklist(
    name: str, values: Iterable[str], label: str = "", *, default: str | None = None, required: bool = False
) -> Field:
    """A list that, as standard lists do unless an admin changes it, also takes what it does not name."""
    return Field(
        name,
        "picklist",
        label,
        255,
        options=options(values, default),
        default=default,
        nillable=not (required or default),
    )


def reference(
    name: str, relationship: str, *refers_to: str, label: str = "", required: bool = False, updateable: bool = True
) -> Field:
    return Field(
        name,
        "reference",
        label,
        18,
        nillable=not required,
        updateable=updateable,
        refers_to=refers_to,
        relationship=relationship,
    )


def computed(name: str, kind: str, label: str = "", length: int = 0, *, nillable: bool = True) -> Field:
    """A field that only Salesforce sets."""
    return Field(name, kind, label, length, nillable=nillable, createable=False, updateable=False)


def flag(name: str, label: str = "") -> Field:
    return Field(name, "boolean", label, nillable=False, default=False)


def long_text(name: str, label: str) -> Field:
    return Field(name, "textarea", label, LONG_TEXT, filterable=False)


def follows(name: str, relationship: str, target: str) -> Field:
    """A reference that only Salesforce sets."""
    return Field(
        name, "reference", "", 18, createable=False, updateable=False, refers_to=(target,), relationship=relationship
    )


def _address(prefix: str, label: str) -> tuple[Field, ...]:
    return (
        Field(f"{prefix}Street", "textarea", f"{label}Street", 255),
        text(f"{prefix}City", 40, f"{label}City"),
        text(f"{prefix}State", 80, f"{label}State/Province"),
        text(f"{prefix}PostalCode", 20, f"{label}Zip/Postal Code"),
        text(f"{prefix}Country", 80, f"{label}Country"),
    )


def _object(name: str, prefix: str, plural: str, *fields: Field, owned: bool = True, label: str = "") -> SObject:
    owner = (
        (Field("OwnerId", "reference", "Owner ID", 18, refers_to=("User",), relationship="Owner", nillable=False,
               default=""),)
        if owned
        else ()
    )  # fmt: skip
    system = (
        Field("Id", "id", f"{label or name} ID", 18, nillable=False, createable=False, updateable=False,
              id_lookup=True),
        computed("IsDeleted", "boolean", "Deleted", nillable=False),
    )  # fmt: skip
    stamps = (
        computed("CreatedDate", "datetime", "Created Date", nillable=False),
        computed("CreatedById", "reference", "Created By ID", 18, nillable=False),
        computed("LastModifiedDate", "datetime", "Last Modified Date", nillable=False),
        computed("LastModifiedById", "reference", "Last Modified By ID", 18, nillable=False),
        computed("SystemModstamp", "datetime", "System Modstamp", nillable=False),
    )
    every = (*system, *fields, *owner, *stamps)
    return SObject(name, prefix, label or name, plural, {each.name: each for each in every})


def _person(name_length: int = 80) -> tuple[Field, ...]:
    return (
        picklist("Salutation", _SALUTATIONS),
        text("FirstName", 40, "First Name"),
        text("LastName", name_length, "Last Name", required=True),
        computed("Name", "string", "Full Name", 121, nillable=False),
        text("Title", 128),
        Field("Email", "email", "Email", 80, id_lookup=True),
        Field("Phone", "phone", "Phone", 40),
        Field("MobilePhone", "phone", "Mobile Phone", 40),
        Field("Fax", "phone", "Fax", 40),
        picklist("LeadSource", _SOURCES, "Lead Source"),
        flag("HasOptedOutOfEmail", "Email Opt Out"),
        flag("DoNotCall", "Do Not Call"),
    )


def key_field(sobject: str) -> Field:
    """Our external id field, as an admin deploys it."""
    return Field(KEY_FIELD, "string", f"CRM Sync Key ({sobject})", 255, external_id=True, unique=True)


def standard_objects() -> dict[str, SObject]:
    """A new org's objects by name."""
    account = _object(
        "Account", "001", "Accounts",
        text("Name", 255, "Account Name", required=True),
        picklist("Type", _KINDS, "Account Type"),
        reference("ParentId", "Parent", "Account", label="Parent Account ID"),
        follows("MasterRecordId", "MasterRecord", "Account"),
        *_address("Billing", "Billing "), *_address("Shipping", "Shipping "),
        Field("Phone", "phone", "Account Phone", 40), Field("Fax", "phone", "Account Fax", 40),
        text("AccountNumber", 40, "Account Number"),
        Field("Website", "url", "Website", 255),
        picklist("Industry", _INDUSTRIES),
        Field("AnnualRevenue", "currency", "Annual Revenue"), Field("NumberOfEmployees", "int", "Employees"),
        long_text("Description", "Account Description"),
        picklist("Rating", _RATINGS, "Account Rating"), text("Site", 80, "Account Site"),
        picklist("AccountSource", _SOURCES, "Account Source"),
    )  # fmt: skip
    contact = _object(
        "Contact", "003", "Contacts",
        *_person(),
        reference("AccountId", "Account", "Account", label="Account ID"),
        reference("ReportsToId", "ReportsTo", "Contact", label="Reports To ID"),
        follows("MasterRecordId", "MasterRecord", "Contact"),
        *_address("Mailing", "Mailing "), *_address("Other", "Other "),
        Field("HomePhone", "phone", "Home Phone", 40), Field("OtherPhone", "phone", "Other Phone", 40),
        text("Department", 80), Field("Birthdate", "date", "Birthdate"),
        long_text("Description", "Contact Description"),
    )  # fmt: skip
    lead = _object(
        "Lead", "00Q", "Leads",
        *_person(),
        text("Company", 255, required=True),
        *_address("", ""),
        Field("Website", "url", "Website", 255),
        long_text("Description", "Description"),
        picklist("Status", ("Open - Not Contacted", "Working - Contacted", CONVERTED, "Closed - Not Converted"),
                 "Lead Status", default="Open - Not Contacted"),
        picklist("Industry", _INDUSTRIES), picklist("Rating", _RATINGS),
        Field("AnnualRevenue", "currency", "Annual Revenue"), Field("NumberOfEmployees", "int", "Employees"),
        computed("IsConverted", "boolean", "Converted", nillable=False),
        computed("ConvertedDate", "date", "Converted Date"),
        follows("MasterRecordId", "MasterRecord", "Lead"),
        follows("ConvertedAccountId", "ConvertedAccount", "Account"),
        follows("ConvertedContactId", "ConvertedContact", "Contact"),
        follows("ConvertedOpportunityId", "ConvertedOpportunity", "Opportunity"),
    )  # fmt: skip
    opportunity = _object(
        "Opportunity", "006", "Opportunities",
        reference("AccountId", "Account", "Account", label="Account ID"),
        text("Name", 120, required=True),
        long_text("Description", "Description"),
        picklist("StageName", STAGES, "Stage", required=True),
        Field("Amount", "currency", "Amount"),
        Field("Probability", "percent", "Probability (%)"),
        Field("CloseDate", "date", "Close Date", nillable=False),
        picklist("Type", ("Existing Customer - Upgrade", "Existing Customer - Replacement",
                          "Existing Customer - Downgrade", "New Customer"), "Opportunity Type"),
        text("NextStep", 255, "Next Step"),
        picklist("LeadSource", _SOURCES, "Lead Source"),
        computed("IsClosed", "boolean", "Closed", nillable=False),
        computed("IsWon", "boolean", "Won", nillable=False),
    )  # fmt: skip
    role = _object(
        "OpportunityContactRole", "00K", "Opportunity Contact Roles",
        reference("OpportunityId", "Opportunity", "Opportunity", label="Opportunity ID", required=True,
                  updateable=False),
        reference("ContactId", "Contact", "Contact", label="Contact ID", required=True),
        picklist("Role", _ROLES),
        flag("IsPrimary", "Primary"),
        owned=False, label="Opportunity Contact Role",
    )  # fmt: skip
    task = _object(
        "Task", "00T", "Tasks",
        reference("WhoId", "Who", "Contact", "Lead", label="Name ID"),
        reference("WhatId", "What", "Account", "Opportunity", label="Related To ID"),
        Field("Subject", "combobox", "Subject", 255),
        Field("ActivityDate", "date", "Due Date Only"),
        picklist("Status", ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"),
                 default="Not Started"),
        picklist("Priority", ("High", "Normal", "Low"), default="Normal"),
        computed("IsHighPriority", "boolean", "High Priority", nillable=False),
        long_text("Description", "Description"),
        picklist("Type", ("Call", "Meeting", "Other")),
        Field("TaskSubtype", "picklist", "Task Subtype", 40, updateable=False, restricted=True,
              options=options(_SUBTYPES)),
        Field("CallType", "picklist", "Call Type", 40, restricted=True,
              options=options(("Internal", "Inbound", "Outbound"))),
        Field("CallDurationInSeconds", "int", "Call Duration"),
        computed("IsClosed", "boolean", "Closed", nillable=False),
        computed("CompletedDateTime", "datetime", "Completed Date/Time"),
        follows("AccountId", "Account", "Account"),
        flag("IsReminderSet", "Reminder Set"), Field("ReminderDateTime", "datetime", "Reminder Date/Time"),
    )  # fmt: skip
    user = _object(
        "User", "005", "Users",
        text("Username", 80, required=True), text("Name", 121), Field("Email", "email", "Email", 128),
        Field("IsActive", "boolean", "Active", nillable=False, default=True),
        owned=False,
    )  # fmt: skip
    organization = _object(
        "Organization", "00D", "Organizations",
        text("Name", 80, required=True), text("OrganizationType", 40), text("InstanceName", 10),
        Field("IsSandbox", "boolean", "Is Sandbox", nillable=False, default=False),
        owned=False,
    )  # fmt: skip
    for each in (user, organization):
        each.is_writable = False
    return {each.name: each for each in (account, contact, lead, opportunity, role, task, user, organization)}
