"""The holder's own city: where a card was issued and somebody is insured, not where the counter stands."""

from datetime import date

from host_bridge.card.pin_entry import PinRules
from host_bridge.counter.decide import city_division, home_city
from host_bridge.counter.visit import Visit
from protocols.settlement.profile import City


def home_of(visit: Visit, on: date, *, simulated: bool) -> City | None:
    """The city of the insured place, otherwise of the card's issuer; None where it has no profile."""
    if visit.insured is not None:
        return home_city(visit.insured.insuplc_admdvs, on, simulated=simulated)
    if visit.issuer is not None:
        return home_city(visit.issuer.card_id[:6], on, simulated=simulated)
    return None


def pin_rules(visit: Visit, home: City | None) -> PinRules:
    """What the holder's city demands of a PIN."""
    if home is None or visit.holder is None:
        return PinRules()
    return PinRules(home.pin_min_digits, home.default_pins_of(visit.holder.certno))


def changes_pins_of(city: City, home: City | None) -> bool:
    """Whether a counter of this city may change the PIN of a holder from `home` (001-20)."""
    return home is not None and city_division(home) == city_division(city) and home.pin_change_at_counter
