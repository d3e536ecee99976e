/* One real control plane for a test program: started on first use, ended with the program. K8S_TEST_KUBECONFIG names one
 * that runs already (its objects applied), for quick work on a test. */
#ifndef TESTS_K8S_FIXTURE_H
#define TESTS_K8S_FIXTURE_H

#include "k8s/k8s.h"
#include "tests/test.h"

const char *
cluster_kubeconfig(void); /* admin's; starts the cluster with its objects; ends the program if it cannot */
const char *cluster_folder(void);     /* with audit.log, pki/ */
char *cluster_user(const char *name); /* kubeconfig of a user without rights; the caller frees */
void cluster_stop(void);
/* A shell command's output (the caller frees), which must succeed. */
__attribute__((format(printf, 1, 2))) char *shell(const char *format, ...);
struct k8s *cluster_client(void); /* of the admin; the caller closes */

#endif
