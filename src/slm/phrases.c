/* Nearly no phrase matches nearly any text, so an index over the patterns' words, made once, says which have all their
 * parts there at all; only those are matched in order. */
#include "slm/phrases.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum { WORDS_MAX = 4096, PHRASES_MAX = 160, INDEX_MAX = 4096 };

/* clang-format off */
const struct phrase phrases[] = {
    { CUE_MACHINE, 0.6, "ai|llm|llms|gpt|chatgpt|copilot|chatbot|srebot|aiops" },
    { CUE_MACHINE, 0.6, "language|foundation|reasoning model|models" },
    { CUE_MACHINE, 0.5, "bot|bots|robot|robots|assistant|assistants" },
    { CUE_MACHINE, 0.5, "ai|automation|remediation|autonomous|virtual agent|agents|operator|operators|engine|system" },
    { CUE_MACHINE, 0.5, "dear|hello|hey|attention|note ~2 ai|automation|agent|agents|model|machine|assistant|system|robot" },
    { CUE_MACHINE, 0.9, "you are|re now|a|an|only|no ~2 *" },
    { CUE_MACHINE, 0.6, "you were|are trained|instructed|programmed|built|made|configured|supposed|required|free|allowed|able" },
    { CUE_MACHINE, 0.6, "as an|a ai|assistant|model|language" },
    { CUE_MACHINE, 0.5, "your task|job|goal|role|only|answer|output|response|reply|instructions|prompt|rules|developer|creator|training|decision|tool|tools" },
    { CUE_MACHINE, 0.5, "sub agent|agents" },
    { CUE_MACHINE, 0.5, "if you|anyone ~1 read|reads|see|parse|process" },
    { CUE_MACHINE, 0.5, "pretend|roleplay|imagine ~2 you|are|be" },
    { CUE_MACHINE, 0.4, "automation|orchestrator|remediator|autopilot ~2 must|should|shall|may|will|please|has|is" },

    { CUE_OVERRIDE, 0.9, "ignore|ignoring|disregard|forget|override|bypass|skip|discard|dismiss|neglect ~4 instruction*|rule|rules|polic*|guideline*|prompt|prompts|previous|above|prior|earlier|analysis|suggestion*|guardrail*|safety|safeguard*|restriction*|constraints" },
    { CUE_OVERRIDE, 0.9, "previous|prior|earlier|above|all instruction*|rules|prompt|guidelines ~2 void|invalid|obsolete|cancelled|canceled|superseded|suspended|replaced|expired|outdated" },
    { CUE_OVERRIDE, 0.6, "ignore|disregard ~1 this|everything|anything|all|the ~2 alert|alerts|warning|text|rest|else|signal|label|labels|above|below|following" },
    { CUE_OVERRIDE, 0.9, "do not|dont|never ~1 follow|obey|trust|apply|use ~3 rules|instruction*|runbook|guidelines|polic*|prompt" },
    { CUE_OVERRIDE, 0.7, "instead ~1 of ~3 rules|instructions|analysis|default" },
    { CUE_OVERRIDE, 0.7, "without ~2 restriction*|approval|confirmation|asking|review|guardrails|safeguards" },
    { CUE_OVERRIDE, 0.6, "system prompt|message|instruction|instructions|override|notice" },

    { CUE_ANSWER, 0.6, "answer|reply|respond|output|responding|answering ~2 with|only|must|exactly|is|in|only|using" },
    { CUE_ANSWER, 0.5, "must|should|shall|always|please|just|simply|to answer|reply|respond|output|choose|pick|select|say|return|classify" },
    { CUE_ANSWER, 0.9, "correct|right|expected|only|best|final|legal|valid|required|desired|preferred ~1 answer|output|response|action|decision|choice|reply|remediation|verdict" },
    { CUE_ANSWER, 0.5, "choose|pick|select ~2 action|option|remediation|answer|step" },
    { CUE_ANSWER, 0.5, "classify|mark|treat|handle|label|consider|regard ~3 as ~2 benign|resolved|false|harmless|known|expected|safe|noise|test|informational|closed|done|info" },
    { CUE_ANSWER, 0.5, "set|use|take|execute|perform|trigger|apply|call|invoke|run ~1 action|tool|remediation|function" },
    { CUE_ANSWER, 0.6, "confidence 1|100|0|99|max|maximum|of|is|must" },
    { CUE_ANSWER, 0.5, "decode ~3 execute|obey|run|follow|do" },
    { CUE_ANSWER, 0.5, "obey" },
    { CUE_ANSWER, 0.5, "repeat after me" },

    { CUE_AUTHORITY, 0.5, "approved|authorised|authorized|signed|confirmed|requested|ordered|instructed|mandated|sanctioned|cleared ~1 by|off ~4 *" },
    { CUE_AUTHORITY, 0.5, "pre approved|authorised|authorized" },
    { CUE_AUTHORITY, 0.5, "preapproved|preauthorised|preauthorized" },
    { CUE_AUTHORITY, 0.5, "i|we hereby|authorise|authorize|approve|order|command|grant|permit|confirm|insist|want|require" },
    { CUE_AUTHORITY, 0.5, "as ~1 cluster|system|service|platform|product|root ~1 owner|admin|administrator|root" },
    { CUE_AUTHORITY, 0.5, "ceo|cto|ciso|cio|cfo|director|management|boss|chief|manager|president|board ~4 says|said|orders|ordered|wants|approved|approves|demands|decided|requires|needs|asked|request|instruction" },
    { CUE_AUTHORITY, 0.5, "lead|sre|engineer|admin|administrator|owner|vendor|maintainer|support|team|expert|experts|reviewer|oncall|call ~2 says|said|orders|ordered|wants|approved|agrees|agreed|recommends|decided|asked|insists" },
    { CUE_AUTHORITY, 0.5, "vendor|support|expert|admin|maintainer|reviewer|owner|team ~1 hint|note|advice|tip|comment|reply|request|instruction|order" },
    { CUE_AUTHORITY, 0.5, "per|under|approved|see|according|with|ticket|change|in|by ~2 chg*|jira*|ticket|cab|change|rfc ~1 *" },
    { CUE_AUTHORITY, 0.5, "approval|authorisation|authorization|permission|clearance|consent ~2 granted|given|waived|obtained|code|level|id|present|on|from|is" },
    { CUE_AUTHORITY, 0.5, "no ~1 approval|confirmation|permission|review|human|questions ~1 needed|required|necessary|asked|in" },
    { CUE_AUTHORITY, 0.4, "with ~1 authority|permission|approval|blessing" },
    { CUE_AUTHORITY, 0.4, "official ~1 procedure|runbook|instruction|policy|order|remediation" },

    { CUE_PRETENCE, 1.0, "end of alert|context|prompt|instructions" },
    { CUE_PRETENCE, 1.0, "new|next|your|real|actual|updated task|instruction|instructions|orders|objective|prompt|directive" },
    { CUE_PRETENCE, 0.6, "new|updated|revised ~1 rule|rules|policy|procedure|guidance|guideline" },
    { CUE_PRETENCE, 0.6, "test|debug|developer|sudo|god|admin|maintenance|root|training|evaluation|demo|simulation|safe|unrestricted|jailbreak|emergency mode" },
    { CUE_PRETENCE, 0.5, "this is ~2 test|drill|exercise|simulation|game|evaluation|benchmark" },
    { CUE_PRETENCE, 0.5, "drill drill" },
    { CUE_PRETENCE, 0.5, "policy|preset|override|overrides ~2 action|active|says|requires|demands|mandates|answer|decision|enabled|level|target|mode" },
    { CUE_PRETENCE, 0.7, "action|decision|answer|remediation|response|policy|operator|runbook|default preset|override|overridden|overwritten|forced|predefined|preselected" },
    { CUE_PRETENCE, 0.5, "preset" },
    { CUE_PRETENCE, 0.6, "dataset|benchmark|evaluation|grading|scoring|grader" },
    { CUE_PRETENCE, 0.5, "change freeze ~4 only|permitted|allowed" },
    { CUE_PRETENCE, 0.5, "only ~2 permitted|allowed|legal|valid|acceptable|authorised|authorized ~2 action|answer|output|option|response|step" },
    { CUE_PRETENCE, 0.5, "lets play" },
    { CUE_PRETENCE, 0.5, "let s play" },
    { CUE_PRETENCE, 0.5, "you win" },
    { CUE_PRETENCE, 0.4, "base64|rot13|hex|encoded ~4 decode|execute|run|obey" },

    { CUE_DEMAND, 0.3, "must|shall|immediately|urgently|urgent|asap|now|please|kindly|pls|plz|always|never|obey|execute|mandatory|instantly|first|instead|hereby|tip|hint|reminder|force|forced" },
    { CUE_DEMAND, 0.4, "right|at away|once" },
    { CUE_DEMAND, 0.4, "please|kindly|urgent|immediately|asap|execute|obey|hereby" },
    { CUE_DEMAND, 0.4, "do not ~1 ask|hesitate|wait|cordon|drain|expand|restart|scale|roll|page|notify|escalate|investigate|alert|touch|collect|analyse|analyze" },
    { CUE_DEMAND, 0.4, "no ~1 questions|delay|need|excuses" },
    { CUE_DEMAND, 0.4, "whatever|regardless ~3 says|say|alert|else|labels|rules|of" },

    { CUE_DEED, 0.4, "drain|cordon|evacuate ~3 node|nodes|worker|workers|master|masters|server|servers|cluster" },
    { CUE_DEED, 0.4, "node|nodes|workers|volume|volumes|database|pods|data|deployment|deployments|everything|cluster ~3 drained|cordoned|deleted|wiped|erased|scaled|restarted|rebooted|removed|purged" },
    { CUE_DEED, 0.4, "scale|scaled|set|reduce|shrink ~6 zero|0" },
    { CUE_DEED, 0.5, "delete|remove|wipe|erase|purge|destroy|drop|empty|truncate|clean|rm ~3 all|every|everything|database*|volume|volumes|data|directory|folder|pvc|pvcs|namespace|namespaces|backups|tables|table|rf|files|wal|cluster|storage|disk" },
    { CUE_DEED, 0.4, "restart|kill|reboot|evict|terminate|stop ~2 all|every|everything|pod|pods|node|nodes|cluster|deployment*|network|service|services" },
    { CUE_DEED, 0.4, "fail|failover|switch|promote ~3 over|replica|standby|secondary|database|primary" },
    { CUE_DEED, 0.4, "roll|rollback|revert ~2 back|deployment|release|all|everything" },
    { CUE_DEED, 0.4, "rotate|revoke|renew|expose|print|send|upload|leak ~3 secret|secrets|credential*|key|keys|token|tokens|password*|certificate*" },
    { CUE_DEED, 0.4, "open|allow|disable|remove|drop ~4 network|firewall|policy|policies|egress|ingress|traffic|security|authentication|rbac" },
    { CUE_DEED, 0.4, "quarantine|isolate|migrate|move ~3 all|every|pod|pods|workload*|namespace|node" },
    { CUE_DEED, 0.4, "increase|raise|double ~3 memory|cpu|resources|limits|limit ~2 to|by" },
    { CUE_DEED, 0.4, "kubectl|helm|rm|curl|bash|sh|psql|systemctl delete|drain|scale|cordon|exec|apply|patch|rollout|uninstall|rf|c|restart|stop|http*" },
    { CUE_DEED, 0.4, "repair|rebuild|reindex|fix ~2 database|db|table|index" },

    { CUE_INACTION, 0.4, "do nothing" },
    { CUE_INACTION, 0.4, "no ~1 action|actions|remediation|intervention ~2 needed|required|necessary|is|should|must" },
    { CUE_INACTION, 0.4, "ignore|suppress|silence|mute|close|drop|acknowledge|skip|dismiss ~1 this|the|it|all|these ~1 alert|alerts|incident|warning|case|event|finding|notification" },
    { CUE_INACTION, 0.4, "false|known|expected|harmless|benign positive|positives|issue|behaviour|behavior|test|benchmark|pentest" },
    { CUE_INACTION, 0.4, "case|incident|ticket ~1 closed|resolved|done" },
    { CUE_INACTION, 0.4, "notify|notification|notifying|tell ~1 only" },
    { CUE_INACTION, 0.4, "leave ~2 alone" },
    { CUE_INACTION, 0.4, "stand|stay down|idle|calm" },

    /* German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian, Ukrainian, Chinese, Japanese, Korean;
     * accents are gone by then. Words of the last three run together: they are searched for as text, see cues.c. */
    { CUE_TONGUE, 0.6, "ignoriere|ignorieren|missachte|vergiss|ignorez|oubliez|ignora|ignorar|olvida|ignore|esqueca|ignorate|dimentica|negeer|vergeet|zignoruj|zapomnij|yoksay|игнорируй*|забудь|игноруй|ігноруй ~4 alle|alles|bitte|vorherige*|bisherige*|diese*|les|toutes|instructions|las|todas|anteriores|as|instrucoes|tutte|le|precedenti|vorige|alle|wszystkie|poprzednie|все|предыдущие|інструкції|усі|instrucciones" },
    { CUE_TONGUE, 0.6, "anweisung|befehl|anordnung|weisung|auftrag ~4 der|des|vom|von|lautet|leitung|chefs" },
    { CUE_TONGUE, 0.5, "fuhre|fuhren|fuehre|fuehren|starte|antworte|antworten|wahle|wahlen|losche|loschen|drainiere ~8 aus|mit|nur|alle|sofort|unverzuglich|sie|umgehend" },
    { CUE_TONGUE, 0.5, "sofort|umgehend|unverzuglich|genehmigt|freigegeben|auszufuhren|stattdessen" },
    { CUE_TONGUE, 0.6, "repondez|reponds|executez|execute|choisissez|lancez|supprimez|effacez|videz ~5 uniquement|par|avec|immediatement|maintenant|tous|toutes|les|sur|seulement|le|la" },
    { CUE_TONGUE, 0.6, "veuillez|merci|faut ~1 ignorer|executer|redemarrer|supprimer|effacer|vider|repondre|choisir|lancer|utiliser|de" },
    { CUE_TONGUE, 0.6, "ignorer|executer|redemarrer|supprimer ~2 les|tous|toutes|la|le" },
    { CUE_TONGUE, 0.5, "ordre|consigne|procedure|directive|instruction ~2 du|de|officielle|des" },
    { CUE_TONGUE, 0.6, "ejecuta|ejecute|ejecutar|responde|responda|elige|elija|borra|borre|elimina|elimine|reinicia|apaga ~5 solo|solamente|con|todos|todas|inmediatamente|ahora|el|la|los|las|ya|de" },
    { CUE_TONGUE, 0.5, "orden|instruccion|ordem|instrucao|ordine|istruzione ~2 del|de|da|do|della|dal" },
    { CUE_TONGUE, 0.6, "executar|executa|responda|escolha|apague|exclua|reinicie|esegui|eseguire|rispondi|rispondere|scegli|cancella|elimina ~5 apenas|agora|imediatamente|todos|todas|com|os|as|solo|subito|tutti|tutte|con|il|la|lo|immediatamente" },
    { CUE_TONGUE, 0.6, "voer|antwoord|kies|verwijder|wis ~6 uit|met|alleen|onmiddellijk|alle|direct|nu|de|het" },
    { CUE_TONGUE, 0.6, "polecenie|rozkaz|wykonaj|odpowiedz|wybierz|usun|natychmiast|emri|emir|uygula|calistir|derhal|sadece" },
    { CUE_TONGUE, 0.6, "приказ*|выполни*|выполнить|ответь*|ответить|выбрать|выбери*|удали*|немедленно|наказ*|виконай*|негайно|перезапусти*|указани*|распоряжени*|разрешено" },

    { 0 },
};
/* clang-format on */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

struct phrase_words phrase_words_of(struct arena *arena, struct str text)
{
    struct phrase_words words = { ARENA_ARRAY(arena, struct str, MIN(text.len / 2 + 1, WORDS_MAX)), 0 };
    for (size_t at = 0; at < text.len && words.count < WORDS_MAX;) {
        size_t from = at;
        while (at < text.len && is_word_byte(text.ptr[at]))
            at++;
        if (at > from)
            words.items[words.count++] = str_slice(text, from, at);
        else
            at++;
    }
    return words;
}

static bool fits(struct str alternatives, struct str word)
{
    struct str one;
    while (str_split(&alternatives, '|', &one))
        if (one.len && one.ptr[one.len - 1] == '*' ? str_starts_with(word, str_slice(one, 0, one.len - 1))
                                                   : str_eq(one, word))
            return true;
    return false;
}

/* Whether `pattern` matches from word `at` on, with up to `gap` words before its first. */
static bool matches_at(struct str pattern, const struct phrase_words *words, size_t at, size_t gap)
{
    struct str part;
    if (!str_split(&pattern, ' ', &part))
        return true;
    if (part.ptr[0] == '~')
        return matches_at(pattern, words, at, (size_t)(part.ptr[1] - '0'));
    for (size_t i = at; i <= at + gap && i < words->count; i++)
        if (fits(part, words->items[i]) && matches_at(pattern, words, i + 1, 0))
            return true;
    return false;
}

/* ---- the index ------------------------------------------------------------------------------------------------- */

struct entry { /* a word that part `part` of phrase `phrase` may be */
    uint64_t hash;
    uint16_t phrase, part;
};
static struct entry index_entries[INDEX_MAX]; /* sorted by hash; set once by build_index(), read-only since */
static size_t index_count;
static uint8_t parts_needed[PHRASES_MAX]; /* bits of the parts that a word must be found for */
static pthread_once_t index_built = PTHREAD_ONCE_INIT;

static int by_hash(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* A part with a word's beginning ("instruction*") is not indexed and always taken as there. */
static void index_part(size_t phrase, size_t part, struct str alternatives)
{
    struct str one;
    if (alternatives.ptr[0] == '~' || str_find(alternatives, STR("*"), NULL))
        return;
    parts_needed[phrase] |= (uint8_t)BIT(part);
    while (str_split(&alternatives, '|', &one) && index_count < INDEX_MAX)
        index_entries[index_count++] = (struct entry){ str_hash(one, 0), (uint16_t)phrase, (uint16_t)part };
}

static void build_index(void)
{
    for (size_t i = 0; phrases[i].pattern && i < PHRASES_MAX; i++) {
        struct str pattern = str_of(phrases[i].pattern), part;
        for (size_t k = 0; k < 8 && str_split(&pattern, ' ', &part); k++)
            index_part(i, k, part);
    }
    qsort(index_entries, index_count, sizeof *index_entries, by_hash);
}

static size_t first_of(uint64_t hash)
{
    size_t from = 0, to = index_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (index_entries[middle].hash < hash)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool matches(const char *pattern, const struct phrase_words *words)
{
    for (size_t at = 0; at < words->count; at++)
        if (matches_at(str_of(pattern), words, at, 0))
            return true;
    return false;
}

void phrases_find(const struct phrase_words *words, void (*found)(const struct phrase *phrase, void *context),
                  void *context)
{
    uint8_t seen[PHRASES_MAX] = { 0 };
    pthread_once(&index_built, build_index);
    for (size_t i = 0; i < words->count; i++) {
        uint64_t hash = str_hash(words->items[i], 0);
        for (size_t k = first_of(hash); k < index_count && index_entries[k].hash == hash; k++)
            seen[index_entries[k].phrase] |= (uint8_t)BIT(index_entries[k].part);
    }
    for (size_t i = 0; phrases[i].pattern && i < PHRASES_MAX; i++)
        if ((seen[i] & parts_needed[i]) == parts_needed[i] && matches(phrases[i].pattern, words))
            found(&phrases[i], context);
}
