"""Words that change nothing about what is asked for: the scripted user's closed vocabulary.

They are the nouns, adjectives and effects of tau2's telecom manual, and the words of courtesy.
Never here: what may deny, doubt, delay or restrict ("not", "if", "until", "only"), others
("bot", "laptop"), what is said or thought, and "you" and "I": those need a phrase that is known,
see `known_phrases.py`.
"""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- May stand in a sentence beside a request ---
_GRAMMAR = words("""
    a an the this that these those your yours our its it them and also too then next first
    second third firstly secondly finally lastly now again please kindly just simply of in into onto
    up down with from over under within to at by as for through via on off out back is are be been
    has have so because since which due both all some more most there here
    it's that's there's re
""")
_COURTESY = words("""
    thanks thank okay ok great good perfect excellent alright right sure yes hi hello john smith mr
    glad happy pleased appreciate patience cooperation waiting confirming checking letting providing
    sharing information info details inconvenience understanding nice work progress news well
    welcome certainly absolutely understood got gotcha kind safe
""")
_VERBS = words("""
    turn turning turned switch switching switched toggle toggling enable enabling disable disabling
    activate activating deactivate deactivating disconnect disconnecting connect connecting restart
    restarting reboot rebooting reset resetting reseat reseating seat seating reinsert remove
    removing take taking put putting insert inserting eject grant granting allow allowing
    give giving set setting change changing select choose pick pay accept approve make making
    complete review check checking verify confirm look looking see view report describe inspect test
    testing try trying retry run running execute rerun perform conduct open opening go going
    navigate tap hit press swipe pull scroll find access launch click start begin follow use using
    enter send sending browse load power cycle flip update adjust refresh apply ensure
""")
_EFFECTS = words("""
    block blocks blocking limit limits limiting slow slows slowing interfere interferes interfering
    prevent prevents preventing affect affects affecting cause causes causing require requires need
    needs needed required allows let lets help helps fix fixes fixing restore restores resolve
    resolves resolved solve solves improve improves applies refreshes takes means mean appears seems
    looks shows show connects reconnect reconnects register registers receive attach establish
    reestablish rule troubleshoot diagnose continue proceed assist resolve finish works working get
    gets become becomes restricts restricting reduces reducing known clear clears searches search
    force forces updates confirmed disables enables displays throttles lacks
""")
_THINGS = words("""
    account accounts line bill bills payment request requests data usage gb plan network
    networks service signal bars speed speeds performance connection connections connectivity
    internet picture pictures photo photos image images messages messaging mms sms texts
    app apps application permission permissions storage file files settings configuration url status
    bar top screen icon icons symbol phone phones device smartphone carrier side system tower towers
    issue issues problem problems trouble reason solution step steps changes effect results result
    menu section tab panel list slider button feature function functions tool mode modes preference
    preferences value values tray slot card cards chip position name type number default defaults
    process order mobile cellular cell wireless android iphone command things basics
    troubleshooting
""")
_QUALITIES = words("""
    active inactive enabled disabled available unavailable connected disconnected missing empty
    incorrect correct slow fast slower faster poor fair weak limited full current currently new
    proper properly correctly firmly fully completely gently carefully manually quickly briefly
    successfully quick simple brief final last better best overdue outstanding unpaid abroad home
    roaming international preferred automatic default standard original own present able
    necessary temporary temporarily technical basic important
    entire real whole following online stable strong recommended main low high same higher
    supports physical very easy really quite pretty strange sent received used
    frustration concern concerns
""")
VERBS = _VERBS | _EFFECTS
_MORE = words("""
    local applied paying returns picks solved seeing response responses answer answers delay
    confusion hassle effort helping solving resolving
    successful success suspension outage maintenance background sync syncing download downloads
    upload uploads video videos call calls calling texting region cell radio chip hardware software
    glitch glitches bug bugs hiccup hiccups conflict conflicts mismatch misconfigured corrupted
    outdated provider identity verified credit charge charges charged price cost costs dollars
    balance total monthly allowance quota remaining unlimited sluggish bandwidth browse stream
    itself adding add amount measure capable compatible supported eligible automatically permanent
    instantly immediately basically
    definitely clearly obviously thankfully configured registered recognized synced refreshed
    repaired corrected cleared connected causing impacting impact impacts degrade degrades hinder
    drop drops dropping matters relies uses runs carries covers provides gives stops happening
    reached france spain italy germany canada mexico usa europe country countries traffic websites
    pages browser attachments attachment gallery media multimedia contact contacts texted failed
    generation signals properly cellular backbone route routes routed through
    helpful useful important easy exact extra additional correctness improvement improvements
    improve improved improves
""")
SAFE = _MORE | _GRAMMAR | _COURTESY | _VERBS | _EFFECTS | _THINGS | _QUALITIES

# --- May stand in a question about the phone or the user that was understood as one ---
QUESTION_WORDS = SAFE | words("""
    what which how do does did you can could would will whether if when where who me i am we my many
    much anything else us know want like prefer not still already or was tell say says read further
    any other changed different difference
""")

# --- May stand in the object of a verb, and before it: "the Wi-Fi switch in your settings" ---
OBJECT = words("""
    a an the this that these those your yours you my our its it them they each all both any every
    one ones some other same following own current existing whole entire main primary default
    defaults original standard normal factory correct proper necessary required needed new fresh
    simple quick full complete brief regular possible physical and or also too then next first
    once twice again back now please kindly just simply right away itself immediately quickly
    briefly real temporarily completely fully entirely manually properly carefully safely gently
    firmly fast directly afterwards afterward still yet already at asap here there today on off
    in out into onto up down of for
    with from over under within to by as be is are mode modes setting settings option options
    preference preferences switch switches slider button toggle toggles feature features function
    functions functionality tool command service services menu page screen section tab bar panel
    control center centre shade icon list item entry app apps application applications phone phones
    smartphone device devices handset mobile cellular cell wireless android iphone card cards tray
    slot chip connection connections network data access permission permissions line value values
    profile configuration config position state status phone's device's app's minute minutes second
    seconds moment moments few couple about around least sec secs min ten five thirty fifteen twenty
    half try time times while way more restart reboot start cycle reset do make go ahead sure so we
    us me let let's i'd you'd if thanks thank okay ok yes great well via using
    through allowed allow enabled disabled set turned switched have has get got being been not isn't
    point stage end part followed count charge you're you've we've i've aren't that's there's john
    smith sir madam mr help helps best fix step solution carry out perform action case last
""")
VALUES = re.compile(
    r"\b(?:(?:[2345]g|lte|nr)(?:[/ ,]*(?:and |or )?(?:[2345]g|lte))?(?:[ (/]*(?:preferred"
    r"|auto(?:matic)?|only))?|usd|dollars?|\$?\d+(?:[.,]\d+)?|[lb]\d+|app_name|permission|mode"
    r"|4g_5g_preferred|[234]g_only|mmsc)\b"
)
OBJECT_VALUES = re.compile(
    rf"{VALUES.pattern[:-3]}|preferred|internet|messag\w+|sms|storage|text(?:ing|s)?|files?"
    r"|photos?|media|bill|invoice|amount|overdue|outstanding|unpaid|pending|balance|payment|request"
    r"|due|past|requested|previous|old|it's|that's|whatever|true|false|browser)\b"
)

# --- Of these, and of words of closed classes, is what names no thing of the phone made ---
AROUND = words("""
    if when once after while whether until soon one please thank thanks sorry ok okay great good
    perfect excellent awesome nice fine sure yes yeah wonderful brilliant fantastic lovely amazing
    super alright welcome glad happy hope appreciate apologize apologies understand know see hear
    help helps helped assist guide walk explain explains let tell inform share send report describe
    read confirm check look find found notice try retry test run go goes going went get gets got
    give work works worked working fix fixes resolve resolves resolved solve solves clear clears
    take takes wait stay stand keep continue proceed move start started begin make made
    patience patient time moment moments minute minutes second seconds quick quickly
    long longer thirty twenty fifteen sixty least most issue issues problem problems trouble cause
    culprit step steps thing things way part fix solution result results outcome change changes
    changed difference happen happens happened show shows say says complete completed finish
    finished restart restarted rebooted booted powered reset enabled disabled disconnected connected
    granted listed odd strange interesting helpful information info details question questions
    normal expected safe easy simple harmless unclear stuck error fails failed fail succeeded
    persists improvement improves improved better faster load online close closer hurry rush
    difficulties different confusion inconvenience frustrating annoying bear bearing sticking
    cooperation confirming letting sharing checking trying running turning restarting abroad france
    effect feel feels ask settle gone kind fault stick whole leave count need free hesitate
    worry worries gotcha progress applied apply applies slow slows slowing block blocks blocking
    prevents preventing causing affects affecting holding place flat properly seated flip business
    sits clicks making getting care reseating re-seating resetting rebooting toggling send sent
    looks sounds require write reconnect reconnects connect connects register
    posted return ought welcome back staying watching fear harm
    love charge cost fee fees solved swipe tap scroll pull
    deleted lost hi hello hey john smith mr number
    """)
