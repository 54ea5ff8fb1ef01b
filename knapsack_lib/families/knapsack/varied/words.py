"""The words of the varied teacher in the knapsack: names that its code may use, and what it says."""

from __future__ import annotations

__all__ = ["SAYINGS", "VOCABULARY"]

# Word -> names, the plainest first
NAMES = {
    "id": "i item item_id name x it this key thing candidate pick",
    "one": "r row entry e d found y z",
    "record": "info rec data details record seen_info answer obj facts got",
    "raw": "raw text reply res response out s",
    "class": "c cls klass group kind category label",
    "value": "v val value worth price gain",
    "weight": "w wt weight size cost load",
    "all": "items ids all_items item_ids names listing everything pool universe",
    "known": "seen known info_by_id details_of inspected catalog item_info records table facts_of knowledge db",
    "all_class": "classes class_of kinds groups labels",
    "all_value": "values value_of vals worths prices",
    "all_weight": "weights weight_of sizes loads wts",
    "Record": "Item Thing Entry Info Spec Piece",
    "left": "left capacity room remaining cap space free capacity_left budget_left",
    "budget": "looks budget inspections tries inspect_left checks quota",
    "bag": "taken bag chosen picked packed selection knapsack loot done_items",
    "banned": "banned bad refused blocked forbidden bad_classes not_allowed denied",
    "look": "look check peek inspect_many examine fetch probe study get_info",
    "ratio": "ratio density score worth_per_weight efficiency quality rate",
    "queue": "todo batch next_up queue to_check pending targets group_now",
    "order": "order ranked best cands sorted_items choice plan by_rank good",
    "fresh": "new fresh results found_now latest updates",
    "error": "e err error ex problem why",
    "n": "n k count num idx",
    "total": "total value_sum total_value worth_total points sum_v",
}
VOCABULARY = {word: tuple(names.split()) for word, names in NAMES.items()}

# The stage, or the rule to take by -> sentences
SAYINGS = {
    "list": (
        "I list the items first.",
        "Let me see what there is.",
        "I start with the list of items.",
        "First I find out which items there are.",
        "There is room for {capacity}; which items are there?",
        "{budget} inspections for items that I do not know yet: I list them.",
        "What can be packed?",
        "I need the ids before anything else.",
    ),
    "look": (
        "I look at {ids}.",
        "{looks} inspections are left; next {ids}.",
        "I have not seen {ids} yet.",
        "{seen} of {all} items are known. Now {ids}.",
        "Let me inspect {ids}.",
        "What are {ids} like?",
        "More items have to be seen before I take any: {ids}.",
        "I go on with {ids}, which leaves me less to guess.",
        "The budget allows {looks} more looks, so I use some on {ids}.",
    ),
    "take": (
        "Now I fill the knapsack, with {first} first.",
        "I have seen enough. {first} weighs {weight} and is worth {value}: I begin there.",
        "Time to take what is best.",
        "There is room for {left}. I take {first} first.",
        "I start with {first} and see which classes are allowed.",
        "{first} looks good, {value} for {weight}.",
    ),
    "again": (
        "{left} units are left; {first} fits.",
        "I go on with {first}.",
        "{count} items are in. {first} is next.",
        "There is still room: {first} weighs {weight}.",
        "Some more may fit into {left}.",
    ),
    "density": (
        "{first} gives most for its weight.",
        "By value per weight {first} comes first.",
        "The best ratio is that of {first}, {value} to {weight}.",
    ),
    "exact": (
        "I take the set with the highest value that fits.",
        "Of all sets that fit into {left} I want the best.",
        "The items are few enough to try every set.",
    ),
    "value": (
        "{first} is worth most, {value}.",
        "The most valuable that fits comes first: {first}.",
        "I go by value alone, so {first}.",
    ),
    "by class": (
        "I go class by class, beginning with {class}.",
        "Class {class} first; then I know whether it is allowed.",
        "One class after the other: {class}.",
    ),
    "review": (
        "A look back before I finish.",
        "What have I got?",
        "{count} items are in; I add up what they are worth.",
        "Before I end, I check the total.",
    ),
    "finish": (
        "Nothing more fits, so I finish.",
        "I am done: {count} items worth {worth}.",
        "No item that I know and may take fits into {left}.",
        "That is all that can be taken.",
        "The knapsack is as full as I can make it.",
        "{worth} it is. I finish.",
    ),
}
