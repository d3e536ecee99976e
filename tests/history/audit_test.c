#include "history/audit.h"

#include <stdlib.h>
#include <unistd.h>

#include "store/executions.h"
#include "tests/history/scene.h"
#include "tests/test.h"

static struct audit *open_audit(struct fixture *f, const char *replica)
{
    const char *path = fixture_path(f, "keys/audit.key");
    struct audit_options options = { .store = f->store,
                                     .replica = replica,
                                     .checkpoint_every_ms = 60000,
                                     .key = audit_key_open(path, true, &f->err) };
    assert_ok(options.key, f->err);
    struct audit *audit = audit_open(&options, &f->err);
    assert_ok(audit, f->err);
    return audit;
}

static void say(struct fixture *f, struct audit *audit, const char *event)
{
    struct audit_entry entry = { "alice", event, "execution", "01x", "{\"why\":\"<b>because</b>\"}" };
    assert_ok(audit_write(audit, &entry, &f->err), f->err);
    fixture_advance(f, 1000);
}

/* Ten entries, signed after the fifth and the ninth. */
static void a_log(struct fixture *f)
{
    struct audit *audit = open_audit(f, "one");
    for (int i = 1; i <= 10; i++) {
        say(f, audit, "execution completed");
        if (i == 5 || i == 9)
            assert_ok(audit_checkpoint(audit, &f->err), f->err);
    }
    audit_close(audit); /* signs the tenth */
}

static struct audit_verified verify(struct fixture *f)
{
    struct audit_verified verified;
    struct audit_key *key = audit_key_open(fixture_path(f, "keys/audit.key.pub"), false, &f->err);
    assert_ok(key, f->err);
    assert_ok(
        audit_verify(f->store, f->arena, (const struct audit_key *const[]){ key }, 1, &verified, &f->err),
        f->err);
    audit_key_free(key);
    return verified;
}

static void expect(struct fixture *f, int64_t seq, const char *what)
{
    struct audit_verified verified = verify(f);
    for (size_t i = 0; i < verified.problem_count; i++)
        if (verified.problems[i].seq == seq && strstr(verified.problems[i].what, what))
            return;
    fail_msg("entry %lld: \"%s\" was not found; %zu problems, the first: %lld %s", (long long)seq, what,
             verified.problem_count, verified.problem_count ? (long long)verified.problems[0].seq : 0,
             verified.problem_count ? verified.problems[0].what : "");
}

static void a_whole_log_is_whole(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    struct audit *other = open_audit(f, "two");
    say(f, other, "server started");
    audit_close(other);
    struct audit_verified verified = verify(f);
    assert_int_equal(verified.problem_count, 0);
    assert_int_equal(verified.entries, 11);
    assert_int_equal(verified.checkpoints, 4);
    assert_int_equal(verified.unsigned_tail, 0);
}

static void a_changed_entry_is_named(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "UPDATE audit_log SET actor = 'alicf' WHERE seq = 3");
    expect(f, 3, "was changed");
}

static void a_missing_entry_is_named(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "DELETE FROM audit_log WHERE seq = 4");
    expect(f, 4, "1 missing");
}

static void reordered_entries_are_named(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "UPDATE audit_log SET seq = 100 WHERE seq = 6; UPDATE audit_log SET seq = 6 WHERE seq = 7; "
                 "UPDATE audit_log SET seq = 7 WHERE seq = 100");
    expect(f, 6, "was changed");
    expect(f, 7, "was changed");
}

static void a_cut_tail_shows_by_its_checkpoint(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "DELETE FROM audit_log WHERE seq > 8");
    expect(f, 9, "the tail is cut");
}

static void a_chain_made_anew_does_not_have_the_signed_hash(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "DELETE FROM audit_log; UPDATE audit_checkpoints SET seq = seq + 100");
    struct audit *audit = open_audit(f, "one");
    audit_close(audit);
    scene_run(f, "UPDATE audit_checkpoints SET hash = replace(hash, 'a', 'b')");
    expect(f, 105, "signature is wrong");
}

static void a_beginning_that_was_cut_off_elsewhere_than_at_a_checkpoint_shows(void **state)
{
    struct fixture *f = *state;
    a_log(f);
    scene_run(f, "DELETE FROM audit_log WHERE seq < 4");
    expect(f, 1, "3 missing");
}

static void retention_cuts_at_checkpoints_and_the_rest_verifies(void **state)
{
    struct fixture *f = *state;
    int64_t deleted;
    a_log(f);
    assert_ok(audit_retain(f->store, 3000, &deleted, &f->err), f->err);
    assert_int_equal(deleted, 5);
    assert_int_equal(verify(f).problem_count, 0);
    fixture_advance(f, 100000);
    assert_ok(audit_retain(f->store, 3000, &deleted, &f->err), f->err);
    assert_int_equal(deleted, 5);
    struct audit *audit = open_audit(f, "one");
    say(f, audit, "server started");
    audit_close(audit);
    struct audit_verified verified = verify(f);
    assert_int_equal(verified.problem_count, 0);
    assert_int_equal(verified.entries, 1);
    assert_int_equal(scene_count(f, "SELECT seq FROM audit_log"), 11);
}

static void what_is_decided_and_done_becomes_entries_once(void **state)
{
    struct fixture *f = *state;
    struct audit *audit = open_audit(f, "one");
    const char *id = scene_execution(f, &(struct scene_execution){ .score = -1 });
    {
        struct verdict_row verdict = {
            .execution_id = id, .verdict = "allow", .rule = "r", .reason = "low risk"
        };
        AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
        assert_ok(tx && verdict_insert(tx, &verdict, &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    }
    assert_ok(audit_tend(audit, &f->err), f->err);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM audit_log"), 0); /* not before it has settled */
    for (int i = 0; i < 3; i++) {
        fixture_advance(f, 3000);
        assert_ok(audit_tend(audit, &f->err), f->err);
    }
    assert_int_equal(scene_count(f, "SELECT count(*) FROM audit_log WHERE event = 'execution completed' AND "
                                    "actor = 'test'"),
                     1);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM audit_log WHERE event = 'verdict allow'"), 1);
    audit_close(audit);
    assert_int_equal(verify(f).problem_count, 0);
}

static void a_report_is_json_or_html_and_steers_no_browser(void **state)
{
    struct fixture *f = *state;
    AUTO(strbuf) struct strbuf out = { 0 };
    a_log(f);
    int64_t began = INT64_C(1795000000000);
    struct audit_report report = { .from = began, .to = began + 2500 };
    assert_ok(audit_report(f->store, &report, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "\"entries\":[{\"at\":\""));
    assert_non_null(strstr(out.ptr, "\"actor\":\"alice\""));
    assert_null(strstr(out.ptr, "\"seq\":4,"));
    strbuf_clear(&out);
    report.html = true;
    assert_ok(audit_report(f->store, &report, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "&lt;b&gt;because"));
    assert_null(strstr(out.ptr, "<b>because"));
}

static void keys_of_another_kind_are_refused(void **state)
{
    struct fixture *f = *state;
    const char *path = fixture_path(f, "rsa.key");
    AUTO(text)
    char *command =
        xasprintf("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out %s 2>/dev/null", path);
    if (system(command) != 0)
        skip();
    assert_fails(audit_key_open(path, false, &f->err), f->err, ERROR_INVALID, "not an Ed25519 key");
    assert_ok(file_replace(path, STR("nonsense"), 0600, &f->err), f->err);
    assert_fails(audit_key_open(path, true, &f->err), f->err, ERROR_INVALID, "rsa.key");
    assert_fails(audit_key_open(fixture_path(f, "none"), false, &f->err), f->err, ERROR_NOT_FOUND,
                 "audit key");
}

static int end(void **state)
{
    scene_end();
    return fixture_teardown(state);
}

static void quiet(struct str line, void *context)
{
    (void)line, (void)context;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, end)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_log_is_whole),
        TEST(a_changed_entry_is_named),
        TEST(a_missing_entry_is_named),
        TEST(reordered_entries_are_named),
        TEST(a_cut_tail_shows_by_its_checkpoint),
        TEST(a_chain_made_anew_does_not_have_the_signed_hash),
        TEST(a_beginning_that_was_cut_off_elsewhere_than_at_a_checkpoint_shows),
        TEST(retention_cuts_at_checkpoints_and_the_rest_verifies),
        TEST(what_is_decided_and_done_becomes_entries_once),
        TEST(a_report_is_json_or_html_and_steers_no_browser),
        TEST(keys_of_another_kind_are_refused),
    };
    log_replace_sink(quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
