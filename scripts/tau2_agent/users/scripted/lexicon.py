"""The words of phone support: things that can be named, and what can be done with them.

Data for `understanding.py`, no logic. Everything is lower case; a new way to say something is one
more alternative here, and one more row in the tests.
"""

from __future__ import annotations

import re

# --- Things on the phone. Order matters: the first pattern that fits a place takes it. ---
TOPICS: dict[str, str] = {
    "wifi_calling": r"wi-?fi[ -]?call(?:ing|s)?|(?:calling|calls?) (?:over|via) wi-?fi",
    "data_saver": r"data[ -]?sav(?:er|ing)|low[ -]data(?= mode)|battery data saver"
    r"|data[ -](?:restrictions?|limiting (?:features?|settings?))",
    "speed": r"(?:your|the) speed(?= (?:goes|is|has|gets|improves?|changes?|now\b))"
    r"|(?<=measure )(?:your|the) speed"
    r"|speed[ -]?tests?|(?<=run )the test"
    r"|(?<=test )(?:your|the) (?:mobile )?(?:connection|data|internet|speed)"
    r"|(?<=check )(?:your|the) (?:connection|speed)"
    r"|(?:(?<=verify )|(?<=tell me ))(?:your|the) speed"
    r"|(?:mobile |cellular )?(?:internet|data|download|connection|network)"
    r"[ -]speeds?|(?:new|current|resulting|what) speeds?|how fast",
    "roaming": r"(?:mobile |international )?(?:data )?roaming",
    "plan": r"(?:data |mobile |your |current |new |different |another )*plans?\b(?! to\b)",
    "usage": r"data[ -](?:usage|limit|allowance|cap|balance|package|refuel(?:ing)?)",
    "mobile_data": r"(?:mobile|cellular|cell|phone)[ -]data(?: connection| switch)?"
    r"|data (?:connection|connectivity|switch)",
    "network_mode": r"(?:preferred |cellular |mobile )*network[ -](?:mode|type|technology)"
    r"(?=(?:\W+settings?)?\W+(?:preferences?|setting|selection))(?:\W+settings?)?\W+\w+"
    r"|(?:preferred |cellular |mobile )*network[ -](?:modes?|preferences?)|preferred network"
    r"(?:[ -](?:type|mode))?|preferred (?:cellular )?type|mode preference",
    "network_type": r"(?:cellular |mobile )?network (?:type|technology)|type of network",
    "network_status": r"(?:cellular |mobile )?network (?:connection status|connection|status"
    r"|info\w*|details|settings)|cellular (?:connection|status|network)|connection status",
    "status_bar": r"status ?bar|signal(?: (?:strength|bars?|icons?|indicators?))?|\bbars\b"
    r"|top of (?:your |the )?(?:phone'?s? )?(?:screen|display)|reception|(?:make"
    r"|receive) (?:phone )?calls"
    r"|(?:cellular |cell |phone |mobile |network )?service(?! (?:provider|rep|cent|team|agent))",
    "airplane": r"(?:air ?plane|aero ?plane|flight)(?:[ -]?mode)?|plane(?= (?:icon|symbol|mode"
    r"|sign))",
    "sim": r"e?-?sim(?:[ -]?cards?)?",
    "vpn": r"vpns?|virtual private network(?: \(vpn\))?",
    "apn": r"apns?|access point names?(?: \(apn\))?|mmsc(?:[ -]ur[li])?",
    "permissions": r"permissions?|access (?:to )?(?:your |the )?(?:storage|sms|files|photos|media)"
    r"|(?:storage|sms) access",
    "app_status": r"app status|status of (?:the|your) [\w ]*?app",
    "apps": r"installed apps?|apps (?:are |you have )?installed|(?:list of|which|all) "
    r"(?:of )?(?:your |the |my )?apps|apps on (?:your|the)",
    "mms": r"mms|(?:picture|multimedia|photo|video|group|image|media)[ -]messag\w+"
    r"|(?:pic(?:ture)?s?|photos?|images?)(?= (?:can|are|get|go|still)\b)|send(?:ing)? (?:an? |your "
    r"|the |some )?(?:test )?(?:pic(?:ture)?s?|photos?|images?|videos?)",
    "wifi": r"wi-?fi",
    "payment": r"payments?(?: requests?)?|bills?|invoices?"
    r"|(?<=the )request\b(?! (?:to|for|that)\b)",
    "internet": r"internet(?: connection| access)?|web ?(?:page|site)s?|the web|online",
    "phone": r"(?:smart)?phone|device|handset|mobile(?! number)",
    "data": r"data",
}

# --- What answers a question about a thing, and how a switch is thrown. ---
CHECKS: dict[str, str] = {
    "airplane": "check_network_status",
    "mobile_data": "check_network_status",
    "data": "check_network_status",
    "roaming": "check_network_status",
    "network_status": "check_network_status",
    "network_type": "check_network_status",
    "status_bar": "check_status_bar",
    "sim": "check_sim_status",
    "network_mode": "check_network_mode_preference",
    "data_saver": "check_data_restriction_status",
    "apn": "check_apn_settings",
    "wifi": "check_wifi_status",
    "wifi_calling": "check_wifi_calling_status",
    "vpn": "check_vpn_status",
    "apps": "check_installed_apps",
    "app_status": "check_app_status",
    "permissions": "check_app_permissions",
    "speed": "run_speed_test",
    "internet": "run_speed_test",
    "mms": "can_send_mms",
    "payment": "check_payment_request",
}
TOGGLES: dict[str, str] = {
    "airplane": "toggle_airplane_mode",
    "mobile_data": "toggle_data",
    "data": "toggle_data",
    "roaming": "toggle_roaming",
    "data_saver": "toggle_data_saver_mode",
    "wifi": "toggle_wifi",
    "wifi_calling": "toggle_wifi_calling",
}
# Every tool of the user and the thing it is about.
TOOL_TOPICS: dict[str, str] = {
    **{tool: topic for topic, tool in reversed(CHECKS.items())},
    **{tool: topic for topic, tool in reversed(TOGGLES.items())},
    "check_network_status": "network_status",
    "reseat_sim_card": "sim",
    "reset_apn_settings": "apn",
    "set_apn_settings": "apn",
    "set_network_mode_preference": "network_mode",
    "connect_vpn": "vpn",
    "disconnect_vpn": "vpn",
    "grant_app_permission": "permissions",
    "reboot_device": "phone",
    "make_payment": "payment",
}
# A look at one of these shows these things too.
_COVERED = {
    "check_status_bar": "airplane mobile_data data network_type wifi vpn data_saver internet",
    "check_network_status": "airplane mobile_data data roaming network_type wifi status_bar sim"
    " internet",
}
COVERS = {tool: frozenset(topics.split()) for tool, topics in _COVERED.items()}

# --- What can be done. The gerund of each form is understood where a request asks for one. ---
VERBS: dict[str, str] = {
    "reboot": r"re-?start(?:ing)?|re-?boot(?:ing)?|power[ -]?cycl(?:e|ing)",
    "reseat": r"re-?seat(?:ing)?|re-?insert(?:ing)?|remov(?:e|ing)|tak(?:e|ing) out|eject(?:ing)?"
    r"|tak(?:e|ing) (?:it|(?:the|your) sim(?: card)?) out|pop(?:ping)? out"
    r"|(?:put|plac|slid|slot|push|pop|insert)(?:e|t?ing)? (?:it |(?:the |your )?(?:sim )?(?:card"
    r" )?)?back(?: in(?:to)?)?",
    "reset": r"reset(?:ting)?|restor(?:e|ing)",
    "grant": r"grant(?:ing)?|allow(?:ing)?|giv(?:e|ing)",
    "disconnect": r"disconnect(?:ing)?|(?:end|drop|clos)(?:e|p?ing)?(?= (?:the |your )?vpn)"
    r"|(?:terminat|kill)(?:e|ing)?(?= (?:the |your )?vpn(?! \w*app))"
    r"|log(?:ging)? out of|exit(?:ing)?|quit(?:ting)?",
    "connect": r"connect(?:ing)?|reconnect(?:ing)?",
    "on": r"(?:turn|switch|toggl|flip)(?:e|ing)? (?:back )?on|(?:re-?)?enabl(?:e|ing)"
    r"|(?:re-?)?activat(?:e|ing)",
    "off": r"(?:turn|switch|toggl|shut|flip)(?:e|ing|ting)? (?:back )?off|disabl(?:e|ing)"
    r"|deactivat(?:e|ing)",
    "switch": r"turn(?:ing)?|switch(?:ing)?|toggl(?:e|ing)|flip(?:ping)?",
    "set": r"set(?:ting)?|chang(?:e|ing)|updat(?:e|ing)|adjust(?:ing)?|select(?:ing)?"
    r"|choos(?:e|ing)|pick(?:ing)?",
    "pay": r"pay(?:ing)?|settl(?:e|ing)|accept(?:ing)?|approv(?:e|ing)|complet(?:e|ing)"
    r"|mak(?:e|ing)(?= (?:the |a |your |that )?payment)",
    "ensure": r"make sure|making sure|ensur(?:e|ing)|be sure(?! to)",
    "check": r"(?:re-?|double[ -]?)?check(?:ing)?|verify(?:ing)?|confirm(?:ing)?"
    r"|glanc(?:e|ing)(?: at)?|look(?:ing)?(?: at| for| in| into| up)?|see(?:ing)?|view(?:ing)?"
    r"|(?:tell|inform(?:ing)?)(?: me| us)|let me have|let (?:me"
    r"|us) know|read|inspect(?:ing)?|report(?:ing)?|describ(?:e|ing)|review(?:ing)?|examin(?:e"
    r"|ing)|show(?: me)?|measur(?:e|ing)|re-?try(?:ing)?(?= sending| (?:the|your|it|an?|mms)\b)"
    r"|share|provide|test(?:ing)?"
    r"|send(?:ing)?|browse|load"
    r"|find out|list(?:ing)?|identify|tak(?:e|ing) a look(?: at)?|have a look(?: at)?|make(?= (?:a "
    r"|or receive )?(?:phone )?calls?)|access(?= (?:the )?(?:web|internet))",
    # Ways to get there: another verb says what to do, or the thing does ("run a speed test").
    "nav": r"go(?:ing)?|(?:re-?)?run(?:ning)?|perform(?:ing)?|conduct(?:ing)?|us(?:e|ing)"
    r"|open(?:ing)?"
    r"|navigat(?:e|ing)|tap(?:ping)?|hit(?:ting)?|press|hold|swip(?:e|ing)|pull|scroll|locate|find|access|head"
    r"|launch|click|wait|count|pause|start|begin|follow|proceed|return|leave|keep|try(?:ing)?"
    r"|execute"
    r"|attempt|enter"
    r"|do(?:ing)?(?= (?:a|an|the|another)\b)|take|call",
}
VERB_WORDS = re.compile("|".join(rf"(?P<{kind}>\b(?:{words})\b)" for kind, words in VERBS.items()))

MODES: tuple[tuple[str, str], ...] = (
    (r"4g_5g_preferred|(?:4g|lte)\W{1,3}(?:and |or )?5g|5g\W{1,3}(?:and |or )?(?:4g|lte)"
     r"|\b(?:4g|lte) (?:and|or) 5g|\b5g (?:and|or) (?:4g|lte)|prefer\w* 5g|5g", "4g_5g_preferred"),
    (r"4g_only|\b4g|\blte", "4g_only"),
    (r"3g_only|\b3g", "3g_only"),
    (r"2g_only|\b2g", "2g_only"),
)  # fmt: skip
PERMISSIONS: dict[str, str] = {
    "storage": r"\bstorage\b|\bfiles?\b|\bmedia\b|\bphotos?\b",
    "sms": r"\bsms\b|\btext(?:s|ing)?\b(?: messages?)?",
    "phone": r"\bphone\b(?= (?:and \w+ )?(?:permission|access))|\bcalls?\b(?= permission)",
    "network": r"\bnetwork\b(?= (?:and \w+ )?(?:permission|access))",
}
APPS: dict[str, str] = {
    "browser": r"\bbrowsers?\b|\bchrome\b|\bsafari\b",
    "messaging": r"\bmessag\w+\b|\bsms\b|\btext(?:ing)?\b",
}

# --- What can be asked of the user himself; `user.py` knows the answers. ---
QUESTIONS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "phone_number": r"\b(?:phone|mobile|cell(?:phone)?|telephone|contact|line"
        r"|callback) numbers?\b|\bnumber (?:associated|on file|linked|registered|you'?re calling"
        r"|for your|of your)",
        "name": r"\b(?:your|full|first|last) (?:full |first |last )?name\b|\bname (?:on|associated)"
        r"|who am i (?:speaking|talking|chatting)|\bam i (?:speaking|talking|chatting) (?:with"
        r"|to)\b",
        "unavailable": r"\b(?:date of birth|birth ?date|dob|customer id|account (?:number|id|pin)"
        r"|e-?mail(?: address)?|billing address|home address|zip code|imei|security (?:question"
        r"|code)|line id|password|pin code|(?:phone|device) (?:model|type)|model of|what (?:phone"
        r"|device)|operating system|data (?:usage|limit|allowance))\b",
        "location": r"\babroad\b|\btravel+ing\b|\boverseas\b|\boutside (?:of )?(?:your|the|our)\b"
        r"|\bwhere (?:are|is) you|\byour (?:current )?(?:location|country)\b|\bin another country"
        r"|\b(?:which|what) country|\bout of the country|\bwhere you are|\bforeign country|\bat"
        r" home\b",
        "refuel": r"\brefuel|\btop(?:ping)?[- ]up|\badd(?:ing)? (?:[\w.]+ ){0,3}(?:data|gb)\b"
        r"|\b(?:more|extra|additional) data\b(?!.{0,20}plan)|\bhow much data|\bhow many (?:gb|gig)",
        "plan": r"\b(?:chang|switch|upgrad|mov)\w*\b[^.?!]*\bplans?\b|\bplan change"
        r"|\b(?:different|another|new|larger|bigger|higher) (?:[\w-]+ )?plan\b|plan with more",
        "pay": r"\bpay(?:ing)? (?:it|this|that|the|your|for|now)\b|\bmake (?:the|a|your"
        r"|this) payment",
        "resolved": r"\b(?:issue|problem|everything|things?|it|that|this)\b(?: [\w']+){0,3} "
        r"(?:resolved|fixed|work(?:s|ed|ing)?|solved|help(?:s|ed)?|back to normal|persists?"
        r"|better)\b|\bwork(?:s|ing)? (?:now|again|properly)\b|\bany (?:change|improvement"
        r"|difference|better)\b",
        "again": r"\b(?:re-?try|(?:re-?)?(?:try|check|test|run)(?: (?:it|that|this|the test))?"
        r"(?: (?:again|once more|one more time))+)$",
        "anything_else": r"\b(?:anything|something) else\b|\bany other (?:issue|question|concern"
        r"|problem)|\bfurther assist",
        "issue": r"\b(?:what|describe|explain|details?|how (?:can|may) i|more about|clarify)\b.*"
        r"\b(?:issue|problem|trouble|assist|help|experiencing|happening|going on)\b",
        "duration": r"\bwhen did\b|\bhow long\b|\bsince when\b",
        "proceed": r"\bproceed\b|\bdo you (?:agree|confirm|accept)\b|\b(?:is|sounds?|would) "
        r"(?:that|this|it) (?:be )?(?:ok(?:ay)?|good|alright|fine|acceptable)\b|\bsounds? good\b"
        r"|\bare you ready\b|\bokay with\b|\bgo ahead with\b|\bis (?:that|this) correct\b"
        r"|^(?:do you )?confirm$",
        "rebooted": r"\b(?:have|did) you (?:already |recently )?(?:tried? )?(?:re-?start"
        r"|re-?boot)\w*",
    }.items()
}  # fmt: skip
