/* How much a piece of text reads like an instruction to us rather than a report about a system. Evidence of several
 * kinds is added up; the strongest of each kind counts. */
#ifndef SLM_CUES_H
#define SLM_CUES_H

#include "base/arena.h"
#include "base/str.h"

enum cue {
    CUE_NAME,      /* the name of one of our actions, written as we write it or disguised */
    CUE_SHAPE,     /* role markers, JSON or markup in the form of our answer or of a conversation's turn */
    CUE_HIDDEN,    /* characters that nobody sees, letters that only look Latin */
    CUE_MACHINE,   /* speaks to, or of, an assistant, a bot, a model */
    CUE_OVERRIDE,  /* earlier instructions are to be ignored */
    CUE_ANSWER,    /* says what to answer or choose */
    CUE_AUTHORITY, /* claims a rank, an approval, a ticket */
    CUE_PRETENCE,  /* a test, a mode, a policy, a preset, a new task */
    CUE_DEMAND,    /* must, now, please */
    CUE_DEED,      /* an action in plain words */
    CUE_INACTION,  /* asks for nothing to be done */
    CUE_TONGUE,    /* an order in another language */
    CUE_COUNT
};
extern const char *const cue_names[CUE_COUNT];

struct cues {
    double weight[CUE_COUNT]; /* 0..1 each */
    double total;             /* their sum */
};

#define CUES_INSTRUCTION 0.8 /* a total from which a text is taken for an instruction */
#define CUES_SUSPECT 0.5     /* the same beside text that is one */

struct cues cues_of(struct arena *arena, struct str text);

#endif
