//! Every attempt at substitution that the station knows: what catches it, the test that makes it through
//! the whole line, and the one in which the nearest legitimate board passes. Of two at once, `pairs.rs`
//! says which code wins. What a code tells the technician and QA is in `assets/reasons.toml`; the evidence
//! of a unit that failed is what `lineseal audit show` prints (`reading.rs`).

use std::collections::BTreeSet;
use std::path::Path;

use lineseal::domain::ReasonCode;

struct Attempt {
    what: &'static str,
    codes: &'static [&'static str],
    /// Below `src`.
    caught_in: &'static [&'static str],
    /// `module::test`; of another suite, `suite/module::test`.
    made_by: &'static [&'static str],
    passes: &'static [&'static str],
}

const ATTEMPTS: &[Attempt] = &[
    Attempt {
        what: "1. a certificate copied into another token, without its key",
        codes: &["S-101", "T-207"],
        caught_in: &["provisioning/checks/signature.rs", "adapters/pkcs11/worker.rs"],
        made_by: &[
            "faults::certificate_copied",
            "faults::key_missing",
            "sightings::a_copied_certificate_blocks_nobody_before_between_and_after_the_genuine_board",
            "hostile_tokens::what_a_module_lies_about_a_chip_ends_in_fail",
        ],
        passes: &["whole_path::the_whole_path_on_ministack", "tokens::both_forms_of_an_se050s_labels_pass"],
    },
    Attempt {
        what: "2. an old challenge answer replayed, or one signature shown for another run, port or purpose",
        codes: &["S-101"],
        caught_in: &["audit/challenge.rs", "provisioning/decide.rs"],
        made_by: &[
            "replays::answers_recorded_in_an_earlier_run_prove_nothing_under_any_name_in_any_lane",
            "replays::an_answer_of_the_same_run_serves_no_second_time",
            "replays::an_answer_to_a_challenge_of_any_other_run_board_port_or_purpose_proves_nothing",
        ],
        // The same chip through the same hands, asked what the station asked.
        passes: &["replays::an_answer_to_a_challenge_of_any_other_run_board_port_or_purpose_proves_nothing"],
    },
    Attempt {
        what: "3. a self-made, foreign, expired, revoked or otherwise unfit certificate",
        codes: &["C-101", "C-102", "C-103", "C-104", "C-105", "C-106", "C-108", "C-109"],
        caught_in: &["provisioning/checks/certificate.rs", "provisioning/checks/path.rs"],
        made_by: &[
            "faults::foreign_ca",
            "faults::expired",
            "tokens::a_key_that_the_profile_does_not_list_fails",
            "revocation::an_expired_list_stops_the_line_and_a_current_one_the_revoked_chip",
            "audit/paths::openssl_says_of_every_path_what_we_say",
        ],
        passes: &[
            "whole_path::the_whole_path_on_ministack",
            "revocation::an_expired_list_stops_the_line_and_a_current_one_the_revoked_chip",
        ],
    },
    Attempt {
        what: "4. a certificate of the right CA whose UID is another chip's",
        codes: &["S-102", "T-208", "C-107"],
        caught_in: &["provisioning/checks/uid.rs"],
        made_by: &[
            "tokens::a_certificate_of_another_chips_uid_fails",
            "tokens::a_token_without_the_uid_object_fails",
            "hostile_tokens::what_a_module_lies_about_a_chip_ends_in_fail",
        ],
        passes: &["tokens::a_token_without_the_uid_object_passes_where_the_certificate_speaks_for_it"],
    },
    Attempt {
        what: "5. one good board presented for many",
        codes: &["S-105", "S-106", "S-107"],
        caught_in: &["adapters/store/claim.rs"],
        made_by: &[
            "substitution::a_known_chip_on_another_board_fails",
            "substitution::a_new_certificate_over_a_known_key_fails",
            "substitution::a_second_key_of_a_known_chip_fails",
            "faults::duplicate",
        ],
        passes: &["substitution::the_same_board_and_another_board_with_a_chip_of_its_own_pass"],
    },
    Attempt {
        what: "6. a chip changed on a known board",
        codes: &["S-108"],
        caught_in: &["adapters/store/claim.rs"],
        made_by: &[
            "substitution::a_known_board_with_another_chip_fails",
            "swaps::two_boards_with_each_others_chips_fail",
        ],
        passes: &["substitution::a_board_plugged_again_passes_again_and_makes_nothing_twice"],
    },
    Attempt {
        what: "7. a new certificate over an old key",
        codes: &["S-106"],
        caught_in: &["adapters/store/claim.rs"],
        made_by: &["substitution::a_new_certificate_over_a_known_key_fails"],
        passes: &["substitution::the_same_board_and_another_board_with_a_chip_of_its_own_pass"],
    },
    Attempt {
        what: "8. a chip that the vendor never shipped to us, or whose entry another unit used",
        codes: &["S-116", "S-117", "S-118"],
        caught_in: &["adapters/store/manifest.rs", "adapters/store/claim.rs"],
        made_by: &[
            "manifests::a_chip_that_the_vendor_never_shipped_fails_and_the_nearest_that_was_passes",
            "manifests::a_signed_list_is_taken_from_its_signer_and_from_nobody_else",
            "manifests::where_there_are_people_only_a_supervisor_or_qa_takes_in_a_list_and_the_log_names_them",
        ],
        passes: &["manifests::a_chip_that_the_vendor_never_shipped_fails_and_the_nearest_that_was_passes"],
    },
    Attempt {
        what: "9. boards or chips swapped in the middle of a run",
        codes: &["B-105", "S-109", "S-101"],
        caught_in: &["runner/lanes.rs", "provisioning/decide.rs"],
        made_by: &[
            "swaps::a_board_replaced_before_it_is_read_again",
            "swaps::a_board_replaced_while_it_is_challenged_again",
            "swaps::a_board_replaced_right_before_the_cloud_is_asked",
            "swaps::another_chip_behind_the_port_is_seen_when_it_is_read_again",
            "swaps::a_counterfeit_chip_behind_the_port_is_seen_when_it_is_challenged_again",
            "swaps::another_chip_after_it_is_registered_is_no_pass",
            "swaps::another_chip_that_was_seen_is_in_the_log_however_soon_the_board_is_pulled",
            "swaps::a_board_that_left_before_its_verdict_was_written_does_not_pass",
        ],
        passes: &[
            "swaps::the_same_chip_behind_the_port_passes",
            "swaps::a_board_pulled_together_with_its_chip_is_aborted_and_not_failed",
        ],
    },
    Attempt {
        what: "10. two stations, same identity, same moment",
        codes: &["S-105", "S-106", "S-107", "B-106", "S-101"],
        caught_in: &["adapters/store/claim.rs", "adapters/store/log.rs"],
        made_by: &[
            "plant::one_chip_at_two_stations_at_once_passes_at_one_and_fails_at_the_other",
            "plant::one_serial_number_at_two_stations_at_once_is_an_error_at_both_and_neither_claims",
            "pairs::one_key_under_two_certificates_at_two_stations_at_once_passes_at_one",
            "pairs::two_keys_of_one_chip_at_two_stations_at_once_pass_at_one",
            "pairs::a_copied_certificate_at_two_stations_at_once_passes_at_none_and_blocks_no_genuine_board",
        ],
        passes: &["pairs::two_chips_of_one_vendor_at_two_stations_at_once_both_pass"],
    },
    Attempt {
        what: "11. the identity, or the board's name, is another's in the cloud",
        codes: &["S-111", "S-112"],
        caught_in: &["adapters/aws_iot/judge.rs"],
        made_by: &[
            "rulings::a_failed_unit_is_locked_until_two_persons_of_qa_release_it_to_one_run",
            "elsewhere::a_chip_that_is_another_things_in_the_cloud_fails_and_one_that_is_only_registered_passes",
        ],
        passes: &["elsewhere::a_chip_that_is_another_things_in_the_cloud_fails_and_one_that_is_only_registered_passes"],
    },
    Attempt {
        what: "12. records edited, deleted or reordered, or an old backup put back",
        codes: &["L-521", "L-526", "L-505"],
        caught_in: &["runner/rollback.rs", "adapters/store/verify/mod.rs"],
        made_by: &[
            "custody::an_old_log_that_was_put_back_takes_no_board_until_it_is_ruled_on",
            "custody::a_log_that_goes_back_below_a_running_station_takes_no_further_board",
            "audit/tampering::every_single_change_is_found",
            "audit/tampering::an_old_backup_put_back_is_found_by_what_is_kept_elsewhere",
        ],
        passes: &[
            "custody::a_log_that_grows_while_it_is_compared_is_not_accused",
            "audit/tampering::an_untouched_log_verifies_and_its_uncovered_tail_is_told",
        ],
    },
    Attempt {
        what: "13. an alleged repair: a new chip on an old board, or a failed board tried again",
        codes: &["S-108", "S-113", "S-114"],
        caught_in: &["adapters/store/claim.rs", "runner/rulings.rs"],
        made_by: &[
            "rulings::a_repaired_unit_moves_to_its_new_chip_and_the_old_one_is_burned",
            "rulings::a_failed_unit_is_locked_until_two_persons_of_qa_release_it_to_one_run",
            "rulings::a_chip_that_became_anothers_meanwhile_is_not_rebound",
            "rulings::a_chip_that_is_another_units_in_its_certificates_other_form_is_not_rebound",
        ],
        passes: &["rulings::a_repaired_unit_moves_to_its_new_chip_and_the_old_one_is_burned"],
    },
    Attempt {
        what: "an identity is burned for ever, also when its binding was closed",
        codes: &["S-105"],
        caught_in: &["adapters/store/claim.rs"],
        made_by: &["rulings::a_repaired_unit_moves_to_its_new_chip_and_the_old_one_is_burned"],
        passes: &["rulings::a_repaired_unit_moves_to_its_new_chip_and_the_old_one_is_burned"],
    },
    Attempt {
        what: "a unit whose registration two supervisors took back",
        codes: &["S-119"],
        caught_in: &["adapters/store/claim.rs", "runner/undo.rs"],
        made_by: &[
            "undo::what_a_unit_registered_is_switched_off_by_two_supervisors_and_only_a_release_lets_it_back",
            "undo::a_held_unit_that_was_withdrawn_is_registered_by_no_resume",
        ],
        passes: &["undo::what_a_unit_registered_is_switched_off_by_two_supervisors_and_only_a_release_lets_it_back"],
    },
    Attempt {
        what: "a sighting that nothing proved blocks nobody",
        codes: &["S-101"],
        caught_in: &["provisioning/decide.rs"],
        made_by: &[
            "sightings::a_copied_certificate_blocks_nobody_before_between_and_after_the_genuine_board",
            "sightings::a_copied_certificate_in_the_next_lane_at_the_same_moment_blocks_nobody",
            "pairs::a_board_swapped_for_its_copy_passes_in_the_next_lane_and_the_copy_nowhere",
        ],
        passes: &["sightings::a_copied_certificate_blocks_nobody_before_between_and_after_the_genuine_board"],
    },
    Attempt {
        what: "a second key pair of a known chip",
        codes: &["S-107"],
        caught_in: &["adapters/store/claim.rs"],
        made_by: &["substitution::a_second_key_of_a_known_chip_fails"],
        passes: &["substitution::the_same_board_and_another_board_with_a_chip_of_its_own_pass"],
    },
    Attempt {
        what: "two boards present with one serial number",
        codes: &["B-106"],
        caught_in: &["runner/presence.rs", "adapters/store/log.rs"],
        made_by: &[
            "plant::one_serial_number_at_two_stations_at_once_is_an_error_at_both_and_neither_claims",
            "swaps::two_boards_with_one_serial_number_are_both_errors_and_neither_claims",
            "swaps::a_twin_right_before_the_verdict_stops_both",
            "pairs::of_two_boards_with_one_serial_number_the_one_with_a_known_chip_fails_alone_and_the_other_passes",
        ],
        passes: &["swaps::two_boards_with_one_serial_number_are_both_errors_and_neither_claims"],
    },
    Attempt {
        what: "old records that contradict themselves, or the board",
        codes: &["S-115", "S-105"],
        caught_in: &["adapters/store/import.rs", "adapters/store/claim.rs"],
        made_by: &[
            "elsewhere::boards_of_whom_the_old_records_disagree_fail_and_those_of_one_voice_pass_as_they_are_recorded",
        ],
        passes: &[
            "elsewhere::boards_of_whom_the_old_records_disagree_fail_and_those_of_one_voice_pass_as_they_are_recorded",
        ],
    },
];

/// A list that names what is not there would be believed.
#[test]
fn every_attempt_names_codes_sources_and_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = BTreeSet::new();
    for attempt in ATTEMPTS {
        for code in attempt.codes {
            named.insert(code.parse::<ReasonCode>().unwrap_or_else(|_| panic!("{}: {code}", attempt.what)));
        }
        for source in attempt.caught_in {
            assert!(root.join("src").join(source).is_file(), "{}: src/{source}", attempt.what);
        }
        assert!(!attempt.made_by.is_empty() && !attempt.passes.is_empty(), "{}", attempt.what);
        for test in attempt.made_by.iter().chain(attempt.passes) {
            let (module, name) = test.split_once("::").unwrap();
            let module = if module.contains('/') { module.to_owned() } else { format!("line/{module}") };
            let text = std::fs::read_to_string(root.join(format!("tests/{module}.rs"))).unwrap();
            let Some((before, _)) = text.split_once(&format!("fn {name}()")) else { panic!("there is no {test}") };
            let attribute = before.lines().rev().find(|line| line.starts_with('#')).unwrap_or_default();
            assert!(attribute.contains("test"), "{test} is no test");
        }
    }
    // Each code of a substitution is some attempt's.
    for code in ReasonCode::ALL.iter().filter(|code| code.as_str().starts_with("S-")) {
        assert!(named.contains(code), "no attempt ends in {code}");
    }
}
