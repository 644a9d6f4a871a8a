"""The errors that Salesforce documents, by their codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.documented import PAGE, Documented, find, pages
from sandbox.faults import Fault
from sandbox.salesforce.errors import ApiError, OAuthError

if TYPE_CHECKING:
    from sandbox.salesforce.emulator import Salesforce

WRITES = r"/composite/sobjects/Contact/"
TOKENS = r"/services/oauth2/token$"


def _token(words: str, error: str | None = None) -> Documented:
    return Documented(400, words, "token", more={} if error is None else {"error": error})


def _row(words: str, *fields: str) -> Documented:
    return Documented(400, words, "row", more={"fields": fields})


ERRORS: Mapping[str, Documented] = {
    "invalid_grant": _token("expired access/refresh token"),
    "AUTHENTICATION_FAILURE": _token("authentication failure", "invalid_grant"),
    "CODE_EXPIRED": _token("expired authorization code", "invalid_grant"),
    "invalid_client_id": _token("client identifier invalid"),
    "invalid_client": _token("invalid client credentials"),
    "invalid_request": _token("missing required code verifier"),
    "redirect_uri_mismatch": _token("redirect_uri must match configuration"),
    "unsupported_grant_type": _token("grant type not supported"),
    "inactive_user": _token("user is inactive"),
    "inactive_org": _token("organization is inactive"),
    "invalid_token": _token("invalid token"),
    "unsupported_token_type": _token("this token type is not supported"),
    "INVALID_SESSION_ID": Documented(401, "Session expired or invalid"),
    "INVALID_AUTH_HEADER": Documented(401, "INVALID_HEADER_TYPE"),
    "API_DISABLED_FOR_ORG": Documented(403, "The REST API is not enabled for this Organization."),
    "FORBIDDEN": Documented(403, "You have insufficient permissions."),
    "FIREWALL_403": Documented(403, page=True),
    "ORG_LOCKED": Documented(403, "The organization is locked"),
    "TRIAL_EXPIRED": Documented(403, "The trial has expired"),
    "ORG_NOT_OWNED_BY_INSTANCE": Documented(403, "The organization is on another instance"),
    "ACCOUNT_MOVED": Documented(302, page=True, headers={"location": "https://moved.example/services/data"}),
    "INVALID_LOGIN": Documented(403, "Invalid username, password, security token; or user locked out."),
    "PASSWORD_LOCKOUT": Documented(403, "The user is locked out"),
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": Documented(403, "The password has expired"),
    "LOGIN_DURING_RESTRICTED_DOMAIN": Documented(403, "The login is from an address that is not allowed"),
    "LOGIN_DURING_RESTRICTED_TIME": Documented(403, "The login is at an hour that is not allowed"),
    "CLIENT_NOT_ACCESSIBLE_FOR_USER": Documented(403, "The client is not accessible for the user"),
    "STORAGE_LIMIT_EXCEEDED": _row("storage limit exceeded"),
    "FIELDS_MISSING": Documented(
        400, "No such column 'CRM_Sync_Key__c' on sobject of type Contact", more={"code": "INVALID_FIELD"}
    ),
    "GONE": Documented(410, "API version v30.0 is retired and no longer available"),
    "HTTP_410": Documented(410, page=True),
    "REQUEST_LIMIT_EXCEEDED": Documented(403, "TotalRequests Limit exceeded."),
    "CONCURRENT_LIMIT": Documented(
        403, "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", more={"code": "REQUEST_LIMIT_EXCEEDED"}
    ),
    "TOO_MANY_APEX_REQUESTS": Documented(403, "Your organization has made too many requests at once."),
    "HTTP_429": Documented(429, page=True),
    "SERVER_UNAVAILABLE": Documented(503, "The server is too busy"),
    "QUERY_TIMEOUT": Documented(400, "Your query request was running for too long."),
    "REQUEST_RUNNING_TOO_LONG": Documented(400, "Your request was running for too long, and has been stopped."),
    "API_CURRENTLY_DISABLED": Documented(403, "API is disabled for this organization at the moment"),
    "ORG_IN_MAINTENANCE": Documented(403, "The organization is in maintenance"),
    "SSO_SERVICE_DOWN": Documented(403, "The single sign-on service is down"),
    "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": Documented(403, "Functionality temporarily unavailable"),
    "UNKNOWN_EXCEPTION": _row("An unexpected error occurred. ErrorId 1-2"),
    **pages(420, 500, 502, 503, 504),
    "HTTP_300": Documented(300, more={"body": ["/services/data/v68.0/sobjects/Contact/003000000000001AAA"]}),
    "JSON_PARSER_ERROR": Documented(400, "Cannot deserialize instance of date from VALUE_STRING value soon"),
    "MALFORMED_QUERY": Documented(400, "unexpected token: 'from'"),
    "INVALID_QUERY_FILTER_OPERATOR": Documented(400, "invalid operator on id field"),
    "INVALID_QUERY_LOCATOR": Documented(400, "invalid query locator"),
    "INVALID_INPUT": Documented(400, "All records must be of the type in the URI: Contact"),
    "MISSING_ARGUMENT": _row("Id not specified in an update call"),
    "EXCEEDED_ID_LIMIT": Documented(400, "record limit reached. cannot submit more than 200 records into this call"),
    "LIMIT_EXCEEDED": Documented(400, "The request can't contain more than 5 queries and collections"),
    "METHOD_NOT_ALLOWED": Documented(405, "HTTP Method 'PATCH' not allowed."),
    "UNSUPPORTED_MEDIA_TYPE": Documented(415, "Content type is not supported"),
    "HTTP_414": Documented(414, page=True),
    "HTTP_431": Documented(431, page=True),
    "NOT_FOUND": Documented(404, "Provided external ID field does not exist or is not accessible: X__c"),
    "REQUIRED_FIELD_MISSING": _row("Required fields are missing: [LastName]", "LastName"),
    "INVALID_EMAIL_ADDRESS": _row("Email: invalid email address: ada", "Email"),
    "STRING_TOO_LONG": _row("First Name: data value too large: Ada (max length=40)", "FirstName"),
    "NUMBER_OUTSIDE_VALID_RANGE": _row("value outside of valid range on numeric field: 1e30", "Age__c"),
    "INVALID_TYPE_ON_FIELD_IN_RECORD": _row("Age: value not of required type: old", "Age__c"),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": _row("bad value for restricted picklist field: X", "LeadSource"),
    "BAD_VALUE_FOR_RESTRICTED_PICKLIST": _row("bad value for restricted picklist field: X", "LeadSource"),
    "INVALID_FIELD": _row("No such column 'Shoe__c' on sobject of type Contact", "Shoe__c"),
    "INVALID_FIELD_FOR_INSERT_UPDATE": _row("Unable to create/update fields: Shoe__c.", "Shoe__c"),
    "NO_SUCH_COLUMN": _row("No such column 'Shoe__c' on entity 'Contact'", "Shoe__c"),
    "INVALID_TYPE": _row("sObject type 'Shoe__c' is not supported."),
    "FIELD_INTEGRITY_EXCEPTION": _row("A country must be specified before a state", "MailingState"),
    "FIELD_FILTER_VALIDATION_EXCEPTION": _row("Value does not exist or does not match filter criteria.", "Lookup__c"),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _row("A contact needs a phone"),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _row("ContactTrigger: execution of BeforeInsert caused by: no"),
    "CANNOT_EXECUTE_FLOW_TRIGGER": _row("We can't save this record because the flow failed."),
    "LIMIT_USAGE_FOR_NS": _row("A package used too much"),
    "DUPLICATES_DETECTED": _row("You're creating a duplicate record. We recommend you use an existing record."),
    "DUPLICATE_VALUE": _row("duplicate value found: Badge__c duplicates value on record with id", "Badge__c"),
    "DUPLICATE_EXTERNAL_ID": _row("Badge__c: more than one record found for external id field", "Badge__c"),
    "INSUFFICIENT_ACCESS_OR_READONLY": _row("insufficient access rights on object id"),
    "INSUFFICIENT_ACCESS": _row("insufficient access rights"),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _row("insufficient access rights on cross-reference id"),
    "CANNOT_UPDATE_CONVERTED_LEAD": _row("cannot reference converted lead"),
    "INACTIVE_OWNER_OR_USER": _row("operation performed with inactive user [005] as owner of contact", "OwnerId"),
    "ENTITY_IS_LOCKED": _row("the entity is locked for editing"),
    "ENTITY_IS_DELETED": _row("entity is deleted"),
    "INVALID_CROSS_REFERENCE_KEY": _row("invalid cross reference id"),
    "MALFORMED_ID": _row("Contact ID: id value of incorrect type: 7", "Id"),
    "UNABLE_TO_LOCK_ROW": _row("unable to obtain exclusive access to this record or 1 records: 001"),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": _row("Record rolled back because not all records were valid"),
    "PROCESSING_HALTED": _row("The transaction was rolled back since another operation failed."),
}


def plan(salesforce: Salesforce, account: int, error: str, times: int) -> None:
    """Let the next writes of contacts, or refreshes, of an org meet this error."""
    document, org = find(ERRORS, error), salesforce.orgs[account]
    refusal = ApiError(
        document.more.get("code", error), document.words, document.more.get("fields"), status=document.status
    )
    if document.at == "row":
        org.refusals += [refusal] * times
        return
    fault: dict[str, Any] = {"path": WRITES, "account": account, "times": times, "status": document.status}
    if document.page:
        fault |= {"html": True, "body": PAGE, "headers": document.headers}
    elif document.at == "token":
        body = OAuthError(document.more.get("error", error), document.words).document()
        fault |= {"path": TOKENS, "account": None, "body": body}
    else:
        fault |= {"body": json.dumps(document.more.get("body", refusal.document()))}
    salesforce.faults.add(Fault(**fault))
