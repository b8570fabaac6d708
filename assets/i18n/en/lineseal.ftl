# The language's own name, for the language switch.
language-name = English

# The five verdicts and what stands in their place when the log could not be written.
verdict-pass = PASS
verdict-fail = FAIL
verdict-error = ERROR
verdict-held = HELD
verdict-aborted = ABORTED
verdict-unrecorded = NO VERDICT
# Shown small beside a translated verdict; empty where the word itself is English.
verdict-code-pass = { "" }
verdict-code-fail = { "" }
verdict-code-error = { "" }
verdict-code-held = { "" }
verdict-code-aborted = { "" }

# What the station is doing with the board.
step-detect = Board found
step-identify = Reading the serial number
step-read = Reading the chip
step-prove = Proving the certificate
step-check = Checking against the log
step-register = Registering with AWS
step-connect = Connecting as the device
step-seal = Last check
step-print = Printing the label
step-scan = Scan the board's barcode

lane-free = free
lane-plug-in = Plug in a board
lane-paused = Paused. Do not plug in
lane-removed = removed
lane-board = board
lane-waiting = Paused. This board starts when you continue
lane-no-serial = no serial number

# What to do after a PASS, by what became of the label.
pass-label-printing = Its label is coming out
pass-label-printed = Apply the label, next board
pass-label-pending = Set it aside. Its label comes when the printer is back
pass-label-failed = Did its label come out? Answer at the top
pass-label-none = Next board
# Where a verdict comes without a reason.
todo-fail = Red tray. Call QA
todo-error = Try again. If it stays, call the line lead
todo-held = Blue tray. It will be finished when the network is back
todo-aborted = Stopped before the end. Plug in again

label-printed = label printed
label-pending = label pending
label-failed = label unclear
call-qa = call QA
slip-number = Slip { $number }
slip-pending = slip pending
slip-failed = slip unclear
seconds = { $seconds } s

button-retry = Try again
button-show-qa = Show QA
button-close = Close
button-next = Next
button-wrong-board = Wrong board

key-pause = Pause
key-continue = Continue
key-finish-held = Finish held
key-open-batch = Open batch
key-close-batch = Close batch
key-details = Details
key-retry = Retry
key-practice = Practice

header-batch = Batch { $name }
header-no-batch = No batch open
header-done = { $done } / { $planned }
header-yield = First-pass yield
header-yield-value = { $percent } %
header-held = Held
header-pace = Units/h
header-end = Ends about
# The vendor's list of shipped chips: used of all; proven and on no list; not used; proven and on it.
header-manifest-used = Listed chips
header-manifest-unknown = Not listed
header-manifest-missing = Missing
header-manifest-matched = Matched
health-cloud = Cloud
health-log = Log
health-printer = Printer
health-signals = Signals
health-copies = Copies
health-no-copies = No copies
copies-nowhere = No place for copies of the log is configured ([log] copies or s3). It works, and nothing could tell if an old log were put back.
copies-same-disk = The copies are on the disk that holds the log itself, which counts as none: put them on another disk, a share or S3.

footer-last = Last
# A finished unit: its lane, and the end of its serial number.
footer-result = { $lane }: { $serial }
# Names of the window's colours, on the key that leads to them.
theme-light = Light
theme-dark = Dark
theme-contrast = High contrast
footer-scanner = Scanner ready
footer-typed = Typed: { $text }
footer-paused = PAUSED

question-label = The label for { $unit } may have come out. Look at the printer.
question-slip = The slip for { $unit } may have come out. Look at the printer.
question-yes = It is there
question-again = Print again
unknown-unit = a board
notice-scan-back = Lane { $lane }: put the label on { $unit } and scan it there.
notice-refused = { $port }: { $text }
notice-busy = The station is busy and did not take that. Press it again.
notice-gone = The station's program has ended. Results no longer arrive: close this window and start Lineseal again.
notice-not-retry = Lane { $lane } has nothing to try again.
notice-not-scanned = That was not scanned. The scanner marks its codes.
notice-too-late = Lane { $lane }: too late, or no run. Let it end and call QA if the board was wrong.
notice-no-lane = There is no lane { $lane }.
notice-position = { $at } of { $count }

drawer-lane = Lane { $lane }
drawer-todo = What to do
drawer-qa = For QA
drawer-cause = Technical cause
drawer-run = Run
drawer-took = Took
drawer-nothing = No result in this lane yet.
label-open = Label
label-title = Label
label-drawing = The label is being drawn.
label-is-printed = It was printed.
label-is-confirmed = It was printed, and scanned on its board.
label-is-pending = It waits for the printer, and comes by itself.
label-is-failed = Nobody knows whether it came out: answer the question above the lanes.
label-is-none = It is not printed.
label-copy = This is copy { $copy }. Copies up to { $void } are void: destroy them.
label-reason = Why is another copy needed?
label-reason-rule = Say why: it goes into the log.
label-reprint = Void it and print another
a11y-label-picture = Picture of the label for { $unit }
drawer-no-reason = No reason code: nothing went wrong.

# Who operates the station.
role-technician = Technician
role-qa = QA
role-supervisor = Supervisor
role-administrator = Administrator
signin-title = Sign in
signin-name = Name
signin-pin = PIN
signin-pin-again = The same PIN once more
signin-or-badge = Or scan your badge.
signin-out = Sign out
signin-by-pin = Signed in with a PIN.
signin-by-badge = Signed in with a badge alone.
signin-by-both = Signed in with badge and PIN.
signin-nobody-known = No people yet
signin-first-title = Create an administrator
signin-first-text = Whoever is created here adds all others. From then on people sign in, and runs are in their names.
signin-first-go = Create and sign in
signin-later = Not now
signin-bar-first = Nobody is known at this station yet: everybody may operate it, and no ruling can tell who did.
signin-bar-nobody = Nobody has signed in: no board is begun. Scan your badge, or sign in.
signin-bar-locked = Locked, since nobody was here. { $name } or somebody else signs in; running boards go on.
signin-name-rule = Give a name: 1 to 64 bytes, no spaces at its ends.
signin-pin-rule = A PIN has 4 to 64 characters.
signin-pins-differ = The two PINs differ. Type both again.
signin-role-rule = Choose a role.
people-title = People
people-add = Add a person
people-disabled = disabled
people-locked = locked out
people-has-badge = badge
people-new-pin = New PIN
people-new-pin-of = New PIN of { $name }
people-role = Role
people-role-of = Role of { $name }
people-badge = Badge
people-badge-of = Badge of { $name }
people-scan-now = Scan the badge now.
people-revoke = Revoke badge
people-disable = Disable
people-disable-of = { $name } may sign in no more?

# The station's settings, for its administrators.
key-settings = Settings
settings-title = Station settings
settings-administrators = Only an administrator who has signed in with a PIN changes settings. Sign in with F1.
settings-reading = The station's file is being read. If it can't be, the reason stands above the lanes.
settings-file = Written into { $file }, whose comments stay. Each change is in the log.
settings-pending = Takes effect when the station is started again: { $what }
settings-lanes = Lanes and ports
settings-profiles = Profiles
settings-printer = Printer
settings-targets = Targets
settings-language = Language
settings-theme = Theme
settings-back = Back
settings-cancel = Cancel
settings-save = Save
settings-in-effect = Saved, and in effect.
settings-at-next-start = Saved. It takes effect when the station is started again.
settings-at-once = A choice is written into the station's file, and in effect at once.
settings-next-start = A change takes effect when the station is started again; until then it works as before.
settings-practice = Practice: the line writes its file anew at each start, and a change lasts until then.
settings-chosen = { $name } (chosen)
settings-language-of-desktop = The file names none: the language is the desktop's.
settings-lane-port = Takes the port that matches:
settings-lane-any = Takes whichever port comes first, and keeps it.
settings-teach = Teach the port
settings-teach-now = Plug a board into lane { $lane } now
settings-teach-how = If one is in it, pull it out first. No run is begun for it. Running boards go on. It ends by itself after a minute.
settings-teach-found = Is this lane { $lane }?
settings-teach-where = A board was plugged in at
settings-teach-take = Yes, this is lane { $lane }
settings-teach-again = Teach again
settings-teach-left = This board is left alone until it is plugged in again.
settings-teach-nobody = No board came for lane { $lane }
settings-profiles-how = The station takes boards of the profiles that are marked.
settings-profile-taken = { $name } (taken)
settings-profile-left = { $name }
settings-printer-ready = The printer is ready.
settings-printer-unknown = Nothing is known of the printer yet.
settings-printer-none-now = This station prints nothing now.
settings-printer-other = Printer from the next start on
settings-printer-tcp = Network (ZPL)
settings-printer-device-kind = Device
settings-printer-folder-kind = Folder
settings-printer-none = None
settings-printer-address = Address and port
settings-printer-uri = Address, ipp://… or ipps://…
settings-printer-device = Device, e.g. /dev/usb/lp0
settings-printer-folder = Folder that labels are written into
settings-test = Print a test label
settings-test-printing = The test label is at the printer.
settings-test-done = The test label was handed to the printer. Look whether it came out.
settings-test-failed = The test label was not printed.
settings-look = Check the targets now
settings-looking = The targets are being asked.

batch-title = Open a batch
batch-name = Name
batch-profile = Profile
batch-planned = Planned boards
batch-open = Open
batch-name-rule = The name needs 1 to 64 printable characters.
batch-planned-rule = Planned boards: a whole number from 1.
batch-profile-rule = Choose a profile.
batch-no-profiles = The configuration has no profile.
close-title = Close batch { $name }? { $done } of { $planned } are done.
close-yes = Close batch
wrong-title = Wrong board { $serial } in lane { $lane }? Its run ends as ABORTED, nothing is bound.
wrong-yes = Stop its run
wrong-explained = Put in by mistake: its run ends before the board and its chip are bound to each other. Take it out, or try again.
wrong-too-late = The board and its chip are bound to each other already: let the run end. If the board was wrong, call QA.
leave-title = { $count ->
    [one] One board is still running. It will be recorded as ABORTED.
   *[other] { $count } boards are still running. They will be recorded as ABORTED.
}
leave-yes = Stop and quit
leave-no = Stay

practice-word = PRACTICE
practice-banner = PRACTICE · nothing here is production
practice-title = Practice line
practice-plug = Plug in
practice-unplug = Unplug
practice-plug-all = Plug in all
practice-unplug-all = Unplug all
practice-make-bad = Make bad
practice-good = Good board
practice-empty = empty
practice-again = { $serial } again
practice-cloud-up = Cloud is up
practice-cloud-down = Cloud is down
practice-printer-up = Printer is up
practice-printer-down = Printer is down
practice-take-down = Take down
practice-bring-up = Bring up
practice-choose = What is wrong with the board in { $port }?
practice-fault-key-missing = Key missing
practice-fault-certificate-copied = Copied certificate
practice-fault-foreign-ca = Foreign CA
practice-fault-expired = Expired certificate
practice-fault-duplicate = Same chip twice
practice-fault-unplugged = Unplugged midway
practice-fault-silent-board = Silent board
practice-fault-board-exchanged = Exchanged board
practice-fault-hung-token = Hung chip
practice-fault-cloud-down = Cloud down
practice-fault-printer-down = Printer down
practice-tour-step = Tour · step { $step } of 5
practice-tour-pass = Press “{ practice-plug }” on a port. The lane works by itself: wait for the green PASS.
practice-tour-fail = Press “{ practice-make-bad }” and choose “{ practice-fault-certificate-copied }”. The lane turns red: read what to do with the board.
practice-tour-replace = The red stays until the next board has come. Unplug the bad board, then plug in a good one.
practice-tour-hold = Take the cloud down and plug in a new board. It is HELD, with a numbered slip: nothing is lost.
practice-tour-finish = Bring the cloud up. Unplug the HELD board and plug it in again: it ends as PASS.
practice-tour-pause = Press F2 to pause: boards that run go on, new ones wait.
practice-tour-continue = Press F2 again to go on.
practice-tour-over = That was the tour
practice-tour-done = This is all that a shift needs. Now try the other faults, each by its button.
practice-tour-end = End the tour
practice-tour-begin = Guided tour

# Read aloud by screen readers.
a11y-lane = Lane { $lane }: { $state }
a11y-step = step { $at } of { $count }, { $name }
a11y-health-good = { $name }: good
a11y-health-unknown = { $name }: not known
a11y-health-bad = { $name }: { $text }
a11y-copies-none = { $name }: a rollback could not be proven
a11y-result = Lane { $lane }, { $unit }: { $verdict }

# `lineseal config check`: what a profile pins.
check-profile = { $name }:
check-root = root
check-intermediate = intermediate
check-pin = {"  "}{ $role } { $subject }, { $key }, valid { $from } to { $until }
check-expired = {"    "}has expired: an expired root goes on being trusted, an expired intermediate only where the profile says so
check-crl = {"  "}revocation list { $number } of { $issuer }, { $from }, usable until { $until } ({ $file })
check-uid-uncompared = {"  "}the UID that a certificate names is not compared with the chip's: uid_from_cn says where it stands
check-uid-none = {"  "}the chip's UID is not asked for: a second key of one chip is not found out

# What commands say at a terminal.
cli-ready = the station is ready: plug in a board (Ctrl-C ends)
cli-nobody-operates = people are known, and boards are taken in nobody's name: say `required = true` under [sign_in] and boards wait until somebody signs in, or `required = false`
cli-log-returned = the log can be written again: the station goes on
cli-label-unclear = the label of { $serial } may or may not have come out; look, stop the station, then: lineseal resume --label-printed { $run } | --print-label { $run }
cli-no-copies = a rollback could not be proven: no place for copies of the log is configured ([log] copies or s3)
cli-copies-same-disk = a rollback could not be proven: every place for copies of the log is on the disk that holds the log itself ([log] copies)
cli-config-good = { $file }: no mistakes; profiles: { $profiles }
cli-import-progress = { $done } of { $total } rows
cli-import-done = { $rows ->
    [one] 1 row
   *[other] { $rows } rows
    }, { $new } of them new, { $conflicts ->
    [one] 1 contradicts another
   *[other] { $conflicts } contradict others
    }
cli-import-encoding = the file is in another encoding, such as Shift_JIS: in Excel, save it as "CSV UTF-8 (Comma delimited)" and import that
cli-import-kept = what contradicts was kept, binds nothing, and locks its units until QA rules
cli-archive-nothing = nothing is old enough, or all of it is still needed
cli-archive-done = events { $first } to { $last } are in the archive; { $gone ->
    [one] the bytes of one of them have
   *[other] the bytes of { $gone } of them have
    } left the database, their hashes stay
cli-report-progress = { $done } of { $total } runs
cli-report-done = { $runs ->
    [one] One run is
   *[other] { $runs } runs are
} in { $path }.
cli-verify-progress = { $done } of { $total } events
cli-verified = { $size ->
    [one] 1 event
   *[other] { $size } events
    } verified, root { $root }
cli-verified-no-checkpoint = no checkpoint is stored with the log
cli-verified-checkpoints = { $count ->
    [one] 1 checkpoint stored with the log, signed by a key of the log
   *[other] { $count } checkpoints stored with the log, each signed by a key of the log
    }
cli-verified-ruled = { $count ->
    [one] 1 checkpoint kept elsewhere is contradicted by the log, and was ruled on
   *[other] { $count } checkpoints kept elsewhere are contradicted by the log, and were ruled on
    }: it was put back
cli-verified-rows = { $count ->
    [one] 1 derived row is
   *[other] { $count } derived rows are
    } what the events say, and every claim holds
cli-verified-fast = derived tables were not looked at (--fast)
cli-verified-archived = { $count ->
    [one] 1 event is in an archive: its hash was verified, its bytes were
   *[other] { $count } events are in an archive: their hashes were verified, their bytes were
    } not at hand
cli-verified-forgotten = { $people ->
    [one] 1 person
   *[other] { $people } people
    } and { $texts ->
    [one] 1 text
   *[other] { $texts } texts
    } were forgotten
cli-uncovered-all = no checkpoint from outside covers it: whoever holds database and key could have rewritten all of it
cli-covered = all of it is covered by a checkpoint held elsewhere
cli-uncovered = events { $first } to { $last } ({ $count }) are not covered by a checkpoint held elsewhere
cli-proven = { $file }: { $events ->
    [one] 1 event
   *[other] { $events } events
    } of a log of { $size }, { $files } files
cli-ca-registered = { $target }: the CA { $ca } is registered and ACTIVE
cli-ca-as-configured = { $target }: the CA { $ca } was there already, as configured
cli-ca-updated = { $target }: the CA { $ca } is ACTIVE and as configured
cli-ca-deactivated = { $target }: the CA { $ca } is INACTIVE; certificates that are registered stay as they are
cli-ca-inactive = { $target }: the CA { $ca } was INACTIVE already
cli-ca-deleted = { $target }: the CA { $ca } is deleted; certificates that are registered stay as they are
cli-ca-absent = { $target }: the CA { $ca } was not there
cli-template-created = { $target }: the provisioning template { $template } is there and enabled
cli-template-found = { $target }: the provisioning template { $template } was there already, as asked for
cli-template-absent = { $target }: there is no provisioning template { $template }
cli-claim-created = { $target }: claim { $claim } is ACTIVE; certificate and private key are in { $certificate } and { $key } and nowhere else
cli-bundle-refused = this bundle proves nothing: { $cause }
cli-bundle-events = { $events ->
    [one] 1 event of { $unit } and of the log itself is
   *[other] { $events } events of { $unit } and of the log itself are
    } in the log { $origin }, as it was with { $size } events
cli-bundle-run = run { $run }: { $verdict }
cli-bundle-run-open = run { $run }: no verdict in this bundle
cli-bundle-answers = { $count ->
    [one] 1 signature of a chip verifies under the certificate shown
   *[other] { $count } signatures of chips verify under the certificates shown
    }
cli-bundle-paths = { $count } of them with the whole path to a certificate that the factory pinned, and it holds
cli-bundle-forgotten = { $count ->
    [one] 1 name or text is forgotten
   *[other] { $count } names and texts are forgotten
    }
cli-bundle-signed = signed by { $key }
cli-bundle-successor = under a successor of a key that you gave, which signed for it itself (event { $events })
cli-bundle-pinned = under a key that you gave
cli-bundle-unpinned = the keys came with the bundle: compare them with some that you have from elsewhere, and give them with --key
cli-operator-added = { $name } may sign in as { $role }
cli-operator-disabled = { $name } may no longer sign in
cli-operator-reset = { $name } has a new PIN
cli-operator-badge = the badge is { $name }'s
cli-operator-badge-revoked = { $name } has no badge any more
cli-operator-forgotten = the person is forgotten
cli-verify-passed-over = { $place }: a checkpoint of { $size } leaves that no key of the log signed is passed over
cli-verify-junk = { $place }: { $count ->
    [one] 1 file that is named as a copy of this log holds no checkpoint and is passed over
   *[other] { $count } files that are named as copies of this log hold no checkpoint and are passed over
}
cli-verified-pins = { $count ->
    [one] 1 operator has
   *[other] { $count } operators have
    } a PIN that the log says nothing of: `lineseal operator reset` mends that
cli-verified-alone = { $count ->
    [one] 1 ruling names
   *[other] { $count } rulings name
    } one person: that is enough only where the plant has decided so (persons = 1 in [log])
cli-verified-remembered = { $count ->
    [one] 1 person or text that an event says was forgotten is
   *[other] { $count } persons and texts that events say were forgotten are
    } still here, or here again: `lineseal operator forget` and `lineseal audit forget-text` delete them
cli-verified-unjudged = { $count ->
    [one] 1 ruling could not be held against who operated its unit's runs: their events are in an archive that is not at hand
   *[other] { $count } rulings could not be held against who operated their units' runs: the events are in an archive that is not at hand
}
cli-verified-unstored = { $count ->
    [one] 1 checkpoint held elsewhere holds, and is
   *[other] { $count } checkpoints held elsewhere hold, and are
    } not stored with the log: it was restored from before they were kept, or they were deleted

# `lineseal token show`: what a board's chip holds, and which check would fail.
token-board = { $port }: { $product } { $serial }, by profile { $profile }
token-board-unknown = { $port }: by profile { $profile }; the board told no serial number of this product
token-module = Module { $module }, { $version }
token-token = Token { $names }
token-times = It was opened in { $open } ms and read in { $read } ms
token-signed = It signed in { $sign } ms
token-what-certificate = The certificate
token-what-key = The key
token-what-uid = The chip's UID
token-found = { $what } answered as { $name }: { $form }
token-not-found = { $what } did not answer as { $name }, or several did
token-form-label = the label that NXP's module gives since version 4.4
token-form-swapped = the byte-swapped label that NXP's module gives up to version 4.2
token-form-little = no label answered; its CKA_ID did, in the byte order of NXP's module up to version 4.6
token-form-big = no label answered; its CKA_ID did, in the byte order of NXP's module since version 4.7
token-form-uri = as the profile names it
token-objects = { $count ->
    [0] The token shows no object
    [one] The token shows one object:
   *[other] The token shows { $count } objects:
    }
token-objects-more = {"  "}and { $more } more
token-objects-failed = The token's objects could not be listed: { $cause }
token-object-certificate = certificate
token-object-private-key = private key
token-object-public-key = public key
token-object-data = data
token-object-other = another object
token-certificate = Certificate of { $subject }
token-issuer = {"  "}issued by { $issuer }
token-serial = {"  "}serial number { $serial }
token-validity = {"  "}valid { $from } to { $until }
token-key = {"  "}key { $key }
token-sha256 = {"  "}SHA-256 { $sha256 }
token-uid-inside = {"  "}chip UID in it { $uid }
token-uid = Chip UID, as the chip tells it: { $uid }
token-uid-none = No chip UID was read
token-checks = What a run checks, in its order:
token-check-good = {"  "}holds: { $check }
token-check-bad = {"  "}DOES NOT HOLD: { $check }: { $code } { $title } ({ $cause })
token-check-open = {"  "}not looked at: { $check }
token-check-identify = the board tells its serial number, and names can be made of it
token-check-token = module and token answer
token-check-certificate = the token holds a certificate that can be read
token-check-pins = the profile's own CAs and revocation lists can be used
token-check-issuer = a CA that the profile pins has signed the certificate
token-check-validity = the certificate is within its time
token-check-path = its path holds up to a pinned root
token-check-revocation = nobody on that path was revoked, as far as the profile's lists say
token-check-key = its key is of a kind that the profile allows
token-check-uid = chip and certificate name one UID, as the profile's rule asks
token-check-proof = the chip signs a fresh challenge with the certificate's key
token-check-manifest = the chip is on the shipment manifest of the batch
token-check-log = the log has neither bound nor locked this board and chip otherwise
token-no-log = There is no log yet, which could know this board or chip
token-proven = The chip has proved that it holds the certificate's key
token-unproven = The chip has not proved that it holds the certificate's key: whatever was read may be a copy
token-end-good = None of these checks would fail. Registering with AWS was not tried
token-end-bad = A run would end { $verdict } { $code }: { $sentence }
token-nothing-written = Nothing was claimed, and nothing was written to the log

# `lineseal doctor`. The first word of a line says how it is; the words are of one width.
doctor-good = ok {" "}
doctor-remark = note
doctor-unknown = ?{"   "}
doctor-bad = NO {" "}
doctor-claim = profile { $profile }: the fleet's claim can be used
doctor-trust = profile { $profile }: its CAs and revocation lists can be used
doctor-module = profile { $profile }: module { $module } and its PIN are at hand
doctor-log = the log: { $events } events, and nothing known elsewhere speaks against it
doctor-no-log = the log: none that could be read
doctor-copies = copies of the log in { $places ->
    [one] 1 place
   *[other] { $places } places
    }
doctor-no-copies = copies of the log: none, so a rollback could not be proven
doctor-copies-same-disk = copies of the log: all on its own disk, so a rollback could not be proven
doctor-printer = the printer takes labels
doctor-air-gapped = this station is air-gapped: no target is asked
doctor-credentials = target { $target }: credentials from { $source }
doctor-credentials-until = target { $target }: credentials from { $source }, good until { $expires }
doctor-account = target { $target }: account { $account }, as { $caller }
doctor-endpoint = target { $target }: devices connect to { $endpoint }
doctor-clock = target { $target }: this computer's clock is { $ahead } ms ahead (± { $within } ms)
doctor-no-clock = target { $target }: no answer said what time it is
doctor-permission = target { $target }: { $action } on { $resource }
doctor-pace = target { $target }: at most { $units } units a second, all stations together; { $slowest } is the narrowest. AWS's default quotas are assumed, the account's own are not asked for
doctor-ca = own CA { $ca }: valid until { $until }
doctor-ca-there = target { $target }: knows the CA { $ca }, ACTIVE
doctor-end = { $checks } checks: { $bad } missing, { $unknown } could not be told
doctor-policy-unscoped = target { $target }: IAM can't narrow these down, they are on everything in the account and Region: { $actions }
doctor-policy-role = target { $target }: the policy is for the role { $role }; the credentials that take it on need sts:AssumeRole on it
doctor-policy-later = the statements UntilMade can go once the thing type and the device policy are there, UndoDeletes where nobody calls `lineseal undo --delete`
