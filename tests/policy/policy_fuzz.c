/* Any bytes as a policy file: an error with a position, or a policy that answers and runs its examples.
 * With libFuzzer: clang -fsanitize=fuzzer,address; without it this program reads the files it is given. */
#include "policy/policy.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(policy) struct policy *policy = policy_parse("fuzz", (struct str){ (const char *)data, size }, NULL);
    if (!policy)
        return 0;
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(strbuf) struct strbuf report = { 0 };
    size_t passed, failed;
    policy_run_tests(policy, &report, &passed, &failed);
    for (int action = 0; action < ACTION_COUNT; action++) {
        struct policy_verdict verdict;
        policy_judge(policy, arena,
                     &(struct policy_question){
                         .action = (enum action)action, .namespace = "shop", .confidence = 0.5 },
                     &verdict);
    }
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        AUTO(strbuf) struct strbuf text = { 0 };
        if (!file_read(argv[i], 1024 * 1024, &text, NULL)) {
            fprintf(stderr, "%s cannot be read\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)text.ptr, text.len);
    }
    return 0;
}
#endif
