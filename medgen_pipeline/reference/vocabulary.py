"""Every closed list of words that appears in the output, in the order of its integer codes.

Inside the simulation a category is its index in one of these tuples; the dataset turns it back into
the word. Words may be added at the end of a tuple; moving one changes generated data.
"""

from typing import Final

WARFARE_TYPES: Final = (
    "conventional",
    "artillery",
    "urban",
    "guerrilla",
    "drone",
    "naval",
    "cbrn",
    "peacekeeping",
)
ENVIRONMENT_CONDITIONS: Final = (  # bit 0 first
    "night_operations",
    "rain",
    "fog",
    "storm",
    "extreme_heat",
    "extreme_cold",
    "dust_storm",
    "mountainous_terrain",
    "urban_debris",
)
INTENSITIES: Final = ("low", "medium", "high", "extreme")
TEMPOS: Final = ("sustained", "escalating", "surge", "declining", "intermittent")
SPECIAL_EVENTS: Final = ("major_offensive", "ambush", "mass_casualty")

CASUALTY_CLASSES: Final = ("battle_injury", "non_battle_injury", "disease")
MECHANISMS: Final = (
    "none",
    "ied",
    "landmine",
    "artillery",
    "mortar",
    "rocket",
    "grenade",
    "drone_munition",
    "aerial_bomb",
    "gunshot",
    "burn",
    "chemical",
    "vehicle",
    "fall",
    "crush",
    "blunt",
    "sport",
    "heat",
    "cold",
)
MECHANISM_GROUPS: Final = ("none", "explosion", "gunshot", "blunt", "burn", "chemical")

NATIONS: Final = (  # ISO 3166-1 alpha-3: NATO's 32 members of 2024, then partners
    "ALB",
    "BEL",
    "BGR",
    "CAN",
    "CZE",
    "DEU",
    "DNK",
    "ESP",
    "EST",
    "FIN",
    "FRA",
    "GBR",
    "GRC",
    "HRV",
    "HUN",
    "ISL",
    "ITA",
    "LTU",
    "LUX",
    "LVA",
    "MKD",
    "MNE",
    "NLD",
    "NOR",
    "POL",
    "PRT",
    "ROU",
    "SVK",
    "SVN",
    "SWE",
    "TUR",
    "USA",
    "AUS",
    "NZL",
    "UKR",
)
SEXES: Final = ("male", "female")
BLOOD_GROUPS: Final = ("O+", "A+", "B+", "AB+", "O-", "A-", "B-", "AB-")
TRIAGE_CATEGORIES: Final = ("T1", "T2", "T3", "T4")

BODY_REGIONS: Final = ("head_neck", "face", "chest", "abdomen", "extremities", "external")
WOUND_REGIONS: Final = (
    "head",
    "eyes",
    "ears",
    "face",
    "neck",
    "thorax",
    "abdomen",
    "extremity",
    "other",
)
SIDES: Final = ("left", "right")
WOUND_TYPES: Final = (
    "penetrating",
    "laceration",
    "fracture",
    "amputation",
    "burn",
    "contusion",
    "crush",
    "blast",
    "brain_injury",
    "sprain",
    "poisoning",
    "thermal",
    "disease",
    "stress_reaction",
)
BLEEDING_SITES: Final = ("none", "extremity", "junctional", "truncal")

OUTCOMES: Final = ("KIA", "DOW", "DNB", "RTD", "EVACUATED", "IN_CARE")
DEATH_CAUSES: Final = (
    "haemorrhage",
    "airway",
    "tension_pneumothorax",
    "brain_injury",
    "burns",
    "chemical",
    "multiple_trauma",
    "sepsis",
    "disease",
    "attack_in_transit",
)

ROLES: Final = ("POI", "ROLE1", "ROLE2", "ROLE3", "ROLE4", "TRANSIT")
VEHICLES: Final = ("ground_ambulance", "helicopter", "bus", "strategic_aircraft")
EVENT_TYPES: Final = (
    "injured",
    "first_care",
    "evacuation_requested",
    "departed",
    "arrived",
    "admitted",
    "surgery_started",
    "surgery_ended",
    "discharged",
    "died",
    "returned_to_duty",
    "left_theatre",
    "clock_ended",
)
PROVIDERS: Final = ("self", "buddy", "combat_medic", "physician", "surgical_team")
TREATMENTS: Final = (  # in MARCH order, then surgery, then after-care
    "tourniquet",
    "pressure_dressing",
    "haemostatic_dressing",
    "junctional_tourniquet",
    "pelvic_binder",
    "airway_adjunct",
    "surgical_airway",
    "intubation",
    "chest_seal",
    "needle_decompression",
    "chest_tube",
    "oxygen",
    "intravenous_access",
    "tranexamic_acid",
    "whole_blood",
    "crystalloid",
    "calcium",
    "hypothermia_prevention",
    "head_elevation",
    "eye_shield",
    "decontamination",
    "nerve_agent_antidote",
    "ventilation",
    "burn_dressing",
    "splint",
    "wound_care",
    "analgesia",
    "antibiotics",
    "damage_control_surgery",
    "neurosurgery",
    "definitive_surgery",
    "intensive_care",
    "rehydration",
    "cooling",
    "rewarming",
    "medication",
    "psychological_first_aid",
    "rest",
)
UNITS: Final = ("unit", "g", "mg", "ml")
