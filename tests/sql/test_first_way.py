from __future__ import annotations

from tests.house import House


def test_a_classification_becomes_one_row_for_each_connected_crm(house: House) -> None:
    organization = house.organization()
    first = house.integration(organization)
    second = house.integration(organization, "pipedrive")
    house.integration(house.organization("Other"))
    message = house.message(organization, house.contact(organization))
    house.classify(message, "interested", "urgent")
    assert house.rows(
        "select integration_id, message_id, queue_type, status, priority from public.sync_queue order by id"
    ) == [
        (first, message, "contact_sync", "pending", 1),
        (second, message, "contact_sync", "pending", 1),
    ]
