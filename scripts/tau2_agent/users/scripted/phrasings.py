"""What the scripted user says, in three sets of words: fixed, train and held_out.

Data, no logic. `fixed` is one sentence each. `train` and `held_out` share no sentence, no small
talk and no typing error: a policy that was trained on the one set meets the other for the first
time when it is evaluated. Names in braces are facts and stay as they are. The scripted teacher,
which sees nothing but the words, must understand each of them; a test holds that. The words for
tool results are in `result_phrasings.py`.
"""

from __future__ import annotations

FIXED: dict[str, tuple[str, ...]] = {
    "name": ("My name is {name}.",),
    "phone_number": ("My phone number is {number}.",),
    "location": ("I am currently {location}.",),
    "location_unknown": ("I am not sure about that.",),
    "since": ("For {since}.",),
    "since_unknown": ("I do not know since when.",),
    "unavailable": ("I do not know that.",),
    "keep_plan": ("I do not want to change my plan.",),
    "no_plan": ("I do not need another plan.",),
    "refuel": ("Yes, please refuel {amount} GB of data.",),
    "no_refuel": ("No, I do not want to refuel data.",),
    "will_pay": ("Yes, I will pay the bill.",),
    "no_bill": ("No, I did not call about a bill.",),
    "not_my_bill": ("I did not call about a bill.",),
    "rebooted": ("Yes, I restarted it.",),
    "not_rebooted": ("No, I have not restarted it.",),
    "unsolved": ("Yes, my problem is not solved yet.",),
    "agree": ("Yes, please.",),
    "agree_to_pay": ("Yes, I agree.",),
    "one_thing": ("I can only do one thing at a time, please. What should I do first?",),
    "pay_now": ("Should I pay it now?",),
    "what_next": ("Okay. What should I do next?",),
    "riddle": ("I am sorry, I do not understand. What exactly should I do?",),
    "whether": ("You want me to {deed}, right?",),
    "not_the_case": ("That is not the case.",),
    "already": ("{switch} is already {state}.",),
    "photos": ("Will I lose my photos if I restart my phone?",),
    "works": ("It works now. Thank you!",),
    "annoyed": ("It is still not working, this is a bit annoying.",),
}

TRAIN: dict[str, tuple[str, ...]] = {
    "service": (
        "My phone has been showing 'No Service' for {since}.",
        "For {since} my phone has had no service at all.",
        "I have had 'No Service' on my screen for {since}. Nothing gets through.",
        "There is no signal on my phone, it has said 'No Service' for {since}.",
    ),
    "data": (
        "My mobile data is not working properly. It either stops working or is very slow.",
        "The internet on my phone is bad. It is very slow, or it stops completely.",
        "My mobile data keeps stopping, and when it runs it is very slow.",
        "I have trouble with mobile data. Pages load slowly or do not load at all.",
    ),
    "mms": (
        "I am unable to send MMS messages using my messaging app for {since}. I want to fix it and "
        "successfully send an MMS message.",
        "For {since} I have not been able to send MMS messages from my messaging app. Please "
        "help me to send one.",
        "My MMS messages do not go out, for {since} already. I want to send an MMS again.",
        "MMS has not worked in my messaging app for {since}. I would like to send one.",
    ),
    "name": ("My name is {name}.", "{name} is my name.", "This is {name}.", "I am {name}."),
    "phone_number": (
        "My phone number is {number}.",
        "It is {number}.",
        "My number: {number}.",
        "You find me under {number}.",
    ),
    "location": (
        "I am currently {location}.",
        "Right now I am {location}.",
        "I am {location} at the moment.",
    ),
    "location_unknown": ("I am not sure about that.", "I can not tell you that for sure."),
    "since": ("For {since}.", "It has been like this for {since}."),
    "since_unknown": ("I do not know since when.", "I can not say when it began."),
    "unavailable": ("I do not know that.", "I do not have that at hand."),
    "keep_plan": ("I do not want to change my plan.", "I want to keep the plan that I have."),
    "no_plan": ("I do not need another plan.", "My plan is good enough."),
    "refuel": (
        "Yes, please refuel {amount} GB of data.",
        "Yes, I would like {amount} GB, please.",
        "Please add {amount} GB of data, yes.",
    ),
    "no_refuel": ("No, I do not want to refuel data.", "No more data for me."),
    "will_pay": ("Yes, I will pay the bill.", "Yes, I am ready to pay it."),
    "no_bill": ("No, I did not call about a bill.", "No, this is not about a bill."),
    "not_my_bill": ("I did not call about a bill.", "This is not about a bill."),
    "rebooted": ("Yes, I restarted it.", "Yes, I have restarted it already."),
    "not_rebooted": ("No, I have not restarted it.", "No, not restarted so far."),
    "unsolved": ("Yes, my problem is not solved yet.", "Yes, the problem itself is still there."),
    "agree": ("Yes, please.", "Yes, go ahead.", "Sure, please do.", "Yes, that is okay."),
    "agree_to_pay": ("Yes, I agree.", "Yes, I agree to that."),
    "one_thing": (
        "I can only do one thing at a time, please. What should I do first?",
        "One step after the other, please. Which one comes first?",
        "That is too much for me at once. Tell me the first step, please.",
    ),
    "pay_now": ("Should I pay it now?", "Do I pay it now?"),
    "what_next": (
        "Okay. What should I do next?",
        "Okay, and what now?",
        "Fine. Tell me what to do.",
    ),
    "riddle": (
        "I am sorry, I do not understand. What exactly should I do?",
        "I do not know what you mean. Could you say it in another way?",
        "Sorry, what is it that you want me to do?",
    ),
    "whether": (
        "Do you want me to {deed} now?",
        "Just to be sure: should I {deed}?",
        "I am to {deed}, is that correct?",
    ),
    "not_the_case": ("That is not the case.", "No, that is not so."),
    "already": (
        "{switch} is already {state}.",
        "But {switch} is already {state}.",
        "I see that {switch} is {state} already.",
    ),
    "photos": (
        "Will I lose my photos if I restart my phone?",
        "But my photos, will they be safe when I restart?",
    ),
    "works": (
        "It works now. Thank you!",
        "Now it works, thank you so much!",
        "It is fixed. Thanks!",
    ),
    "annoyed": (
        "It is still not working, this is a bit annoying.",
        "Still the same problem. This is getting annoying.",
    ),
}

HELD_OUT: dict[str, tuple[str, ...]] = {
    "service": (
        "Hello, there is 'No Service' at the top of my screen, and that for {since}.",
        "I can neither call nor text: no service for {since}.",
        "Over {since} I could not get a signal, the phone just tells me 'No Service'.",
    ),
    "data": (
        "Something is wrong with my mobile internet. It crawls, and sometimes it is gone.",
        "I pay for mobile data, yet surfing is terribly slow and cuts out all the time.",
        "Mobile data has been a pain: either dead or slow as a snail.",
    ),
    "mms": (
        "Sending MMS fails in my messaging app and has done so for {since}. I need to get one out.",
        "I tried to send MMS messages over {since} without success. I hope you can get this going.",
        "My messaging app has refused to send any MMS for {since}. I must send one today.",
    ),
    "name": ("You are speaking with {name}.", "Sure: {name}.", "It's {name} here."),
    "phone_number": (
        "Sure, the number is {number}.",
        "That would be {number}.",
        "{number} is the one I am calling about.",
    ),
    "location": ("I'm {location} these days.", "At present you would find me {location}."),
    "location_unknown": ("Hard to say, honestly.",),
    "since": ("{since}, roughly.", "All through {since}."),
    "since_unknown": ("I could not tell you when that started.",),
    "unavailable": ("Sorry, I would have to look that up and can't.",),
    "keep_plan": ("Leave my plan as it is.",),
    "no_plan": ("A different plan is of no use to me.",),
    "refuel": (
        "Yeah, give me {amount} GB on top.",
        "{amount} GB would be great, so yes.",
        "I'd take {amount} GB of extra data.",
    ),
    "no_refuel": ("Extra data? No thanks.",),
    "will_pay": ("Yeah, I am happy to settle that.",),
    "no_bill": ("No, my call has nothing to do with bills.",),
    "not_my_bill": ("Bills are not what I called for.",),
    "rebooted": ("Yep, did a restart.",),
    "not_rebooted": ("Nope, I haven't restarted anything.",),
    "unsolved": ("Well, the thing I called for is still broken.",),
    "agree": ("Yep, fine by me.", "Okay, do it.", "Sounds good, yeah."),
    "agree_to_pay": ("Agreed.",),
    "one_thing": (
        "Hold on, that's several things. Just give me one to begin with.",
        "Could we take these one by one? Where do I start?",
    ),
    "pay_now": ("Is this the moment to pay?",),
    "what_next": ("Alright. Where do we go from here?", "Got it. And then?"),
    "riddle": (
        "You lost me there. What am I supposed to press?",
        "Hm, could you spell out what I have to do?",
    ),
    "whether": (
        "So you would like me to {deed}?",
        "Did I get you right, you mean I have to {deed}?",
    ),
    "not_the_case": ("Nope, it isn't like that here.",),
    "already": (
        "Turns out {switch} is {state} already.",
        "{switch} was {state} to begin with.",
    ),
    "photos": ("Do my photos survive a restart?", "A restart... what happens to all my photos?"),
    "works": ("Hooray, that did the trick! Thanks a million!", "All good again, cheers!"),
    "annoyed": (
        "Nope, no change. I am losing my temper slowly.",
        "That made no difference, how frustrating.",
    ),
}

# --- Before a result: after a look, and after something was done ---
LOOKED = {
    "train": ("", "I looked. ", "I checked. ", "Okay, here is what it says. ", "I see this:\n"),
    "held_out": (
        "",
        "Let me see... ",
        "Had a look:\n",
        "Here you go. ",
        "Right, so this is there.\n",
    ),
}
DID = {
    "train": ("", "Done. ", "Okay, I did that. ", "I think I did it. ", "That is done now. "),
    "held_out": ("", "All set. ", "There, finished. ", "Did it! ", "Right, took me a second. "),
}

# --- Moods: what is said around the matter, before and after ---
MOODS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "train": {
        "terse": ((), ()),
        "chatty": (
            ("Hi, thank you for your help. ", "Thanks for being so patient with me. "),
            (
                " My sister says hello, by the way.",
                " What a day it has been!",
                " I hope you are well.",
            ),
        ),
        "uneasy": (
            ("Oh dear, I am not good with phones. ", "I am a little nervous about this. "),
            (" I hope I did this right.", " All of this is new to me.", " Please go slowly."),
        ),
        "impatient": (
            ("Quickly, please. ", "I am in a hurry. "),
            (" Can we speed this up?", " I have a meeting soon.", " Let us move on."),
        ),
    },
    "held_out": {
        "terse": ((), ()),
        "chatty": (
            ("Good to have a person to talk to! ", "You sound friendly. "),
            (
                " The weather is lovely here.",
                " I was just making some tea.",
                " Where was I... ah yes.",
            ),
        ),
        "uneasy": (
            ("Goodness, technology scares me. ", "Bear with me, I am all thumbs. "),
            (
                " My grandson usually does such things.",
                " I am afraid to break something.",
            ),
        ),
        "impatient": (
            ("Come on. ", "I have been waiting long enough. "),
            (" How much longer will this take?", " Time is money.", " Get on with it, please."),
        ),
    },
}
TYPOS = {
    "train": {"please": "plaese", "thank": "thnak", "phone": "phoen", "working": "workign",
              "problem": "probelm", "the": "teh", "should": "shoud", "okay": "okey"},
    "held_out": {"please": "pls", "and": "adn", "that": "taht", "with": "wiht", "start": "strat",
                 "about": "abuot", "would": "woudl", "again": "agian", "something": "somthing"},
}  # fmt: skip
