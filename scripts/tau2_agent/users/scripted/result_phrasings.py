"""How the scripted user says the results of its tools: patterns of rows, and words in each set.

Data, no logic, as in `phrasings.py`. {0} and {1} are the groups of the pattern: the values. A
result that no pattern knows is said as it is.
"""

from __future__ import annotations

ROWS: tuple[tuple[str, dict[str, tuple[str, ...]]], ...] = (
    (
        r"Airplane Mode: (ON|OFF)",
        {
            "train": ("Airplane Mode: {0}", "Airplane mode is {0}", "Airplane mode: {0}"),
            "held_out": ("Flight mode is {0}", "Airplane Mode shows {0}"),
        },
    ),
    (
        r"SIM Card Status: (\w+)",
        {
            "train": ("SIM Card Status: {0}", "SIM card is {0}", "SIM card: {0}"),
            "held_out": ("My SIM card shows as {0}", "SIM - {0}"),
        },
    ),
    (
        r"(Cellular Connection|Cellular Signal|Cellular Network Type|Wi-Fi Radio|Wi-Fi"
        r" Connected): (\w+)",
        {"train": ("{0}: {1}", "{0} is {1}"), "held_out": ("{0} = {1}", "{0} says {1}")},
    ),
    (
        r"(Mobile Data|Data Roaming) Enabled: (Yes|No)",
        {
            "train": ("{0} Enabled: {1}", "{0} enabled: {1}", "{0} is enabled: {1}"),
            "held_out": ("{0} = {1}", "{0} enabled? {1}"),
        },
    ),
    (
        r"Status Bar: (.+)",
        {
            "train": ("Status Bar: {0}", "The status bar shows {0}", "My status bar: {0}"),
            "held_out": ("Up in the status bar I see {0}", "status bar says {0}"),
        },
    ),
    (
        r"Current APN Name: (\w+)",
        {
            "train": ("Current APN Name: {0}", "APN name: {0}", "The APN name is {0}"),
            "held_out": ("APN = {0}", "My APN is called {0}"),
        },
    ),
    (
        r"MMSC URL \(for picture messages\): (.+)",
        {
            "train": (
                "MMSC URL (for picture messages): {0}",
                "MMSC URL: {0}",
                "The MMSC URL is {0}",
            ),
            "held_out": ("MMSC = {0}", "Next to MMSC it says {0}"),
        },
    ),
    (
        r"\(These are technical settings, usually best left unchanged\.\)",
        {
            "train": ("(These are technical settings, usually best left unchanged.)", ""),
            "held_out": ("It warns me to leave this alone.",),
        },
    ),
    (
        r"(Airplane Mode|Mobile Data|Data Roaming|Data Saver Mode|Wi-Fi|Wi-Fi Calling) is now"
        r" (ON|OFF)\.",
        {
            "train": ("{0} is now {1}.", "Now {0} is {1}.", "{0} is {1} now."),
            "held_out": ("{0} has been switched {1}.", "{0}: {1} at last."),
        },
    ),
    (
        r"Data Saver mode is (ON|OFF)(?: \(limits data usage\))?\.",
        {
            "train": ("Data Saver mode is {0}.", "Data Saver is {0}.", "The Data Saver is {0}."),
            "held_out": ("Data Saver seems to be {0}.", "It has Data Saver set to {0}."),
        },
    ),
    (
        r"Wi-Fi Calling is currently turned (ON|OFF)\.",
        {
            "train": ("Wi-Fi Calling is currently turned {0}.", "Wi-Fi Calling is {0}."),
            "held_out": ("Wi-Fi Calling appears as {0}.", "Wi-Fi Calling - {0}."),
        },
    ),
    (
        r"VPN is turned (OFF)\.",
        {
            "train": ("VPN is turned {0}.", "The VPN is {0}."),
            "held_out": ("My VPN shows as {0}.", "VPN: {0}."),
        },
    ),
    (
        r"VPN is ON and connected\. Details: (.+)",
        {
            "train": (
                "VPN is ON and connected. Details: {0}",
                "The VPN is on and connected, with these details: {0}",
            ),
            "held_out": ("My VPN is connected. It tells me {0}", "VPN: connected, {0}"),
        },
    ),
    (
        r"VPN disconnected successfully\.",
        {
            "train": ("VPN disconnected successfully.", "The VPN is disconnected."),
            "held_out": ("My VPN is now disconnected.", "VPN: disconnected."),
        },
    ),
    (
        r"App 'messaging' has permission for: ([\w, ]+)\.",
        {
            "train": (
                "App 'messaging' has permission for: {0}.",
                "The messaging app has permission for {0}.",
            ),
            "held_out": ("Permissions of my messaging app: {0}.", "Allowed permissions are {0}."),
        },
    ),
    (
        r"Success\. Permission '(\w+)' granted to app 'messaging'\.",
        {
            "train": (
                "Success. Permission '{0}' granted to app 'messaging'.",
                "Permission '{0}' is granted to app 'messaging'.",
            ),
            "held_out": ("It confirms: '{0}' granted to app 'messaging'.",),
        },
    ),
    (
        r"SIM card re-seated successfully\.",
        {
            "train": ("SIM card re-seated successfully.", "The card is out and in again."),
            "held_out": ("I took the little card out and put it back.",),
        },
    ),
    (
        r"Restarting network services\.\.\.",
        {
            "train": ("Restarting network services...", "It has restarted."),
            "held_out": ("The phone went dark and came back.",),
        },
    ),
    (
        r"Resetting APN settings\.\.\.",
        {
            "train": ("Resetting APN settings...", "It said that it resets the APN settings."),
            "held_out": ("On the way it reset the APN settings.",),
        },
    ),
    (
        r"APN settings will reset at reboot\.",
        {
            "train": (
                "APN settings will reset at reboot.",
                "They will be reset at the next restart.",
            ),
            "held_out": ("It wants a reboot before the reset happens.",),
        },
    ),
    (
        r"Preferred Network Mode set to: (\w+)",
        {
            "train": ("Preferred Network Mode set to: {0}", "The network mode is now {0}"),
            "held_out": ("Network mode = {0}",),
        },
    ),
    (
        r"Network Mode Preference: (\w+)",
        {
            "train": ("Network Mode Preference: {0}", "The network mode is {0}"),
            "held_out": ("It has the network mode set to {0}",),
        },
    ),
    (
        r"Speed Test Result: ([\d.]+) Mbps \(([\w ]+)\)\. (?:.+)",
        {
            "train": (
                "Speed Test Result: {0} Mbps ({1}).",
                "The speed test gave {0} Mbps ({1}).",
                "It says {0} Mbps, which is {1}.",
            ),
            "held_out": ("{0} Mbps, rated {1}.", "My speed came out at {0} Mbps - {1}."),
        },
    ),
    (
        r"Your messaging app (can|cannot) send MMS messages\.",
        {
            "train": (
                "Your messaging app {0} send MMS messages.",
                "My messaging app {0} send MMS messages.",
            ),
            "held_out": (
                "It tells me that I {0} send MMS.",
                "The app {0} send MMS messages right now.",
            ),
        },
    ),
    (
        r"You have a payment request for bill (\w+) of ([\d.]+) USD\.",
        {
            "train": (
                "You have a payment request for bill {0} of {1} USD.",
                "I have a payment request for bill {0} of {1} USD.",
            ),
            "held_out": ("A payment request popped up: bill {0}, {1} USD.",),
        },
    ),
    (
        r"Payment of ([\d.]+) USD has been made for bill (\w+)\.",
        {
            "train": (
                "Payment of {0} USD has been made for bill {1}.",
                "The payment of {0} USD for bill {1} is made.",
            ),
            "held_out": ("The payment for bill {1} was made, {0} USD.",),
        },
    ),
)
