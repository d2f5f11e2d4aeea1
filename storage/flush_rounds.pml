/* How those who wait for the log share its flushes (flush_rounds.h): any process may be killed between
 * any two steps; whoever reaps it then ends the round for everybody.
 *
 * Checked: nobody sleeps for ever (no invalid end state), and nobody goes on before its change is
 * durable.
 *
 *   N  processes     OPS  changes of each     KILLS  deaths
 *
 *   spin -DN=3 -DOPS=2 -DKILLS=1 -a flush_rounds.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m1000000
 *
 * Mutants that must fail: NO_NEXT (the end of a round wakes nobody to begin the next), NO_REAP (a
 * death wakes nobody), END_BEFORE_RELEASE, KEEP_TARGET (the target of a flush stands after it),
 * QUIET_RELEASE (a round with nothing to flush does not end). tests/unit/storage_flush_model.sh. */
#ifndef N
#define N 3
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define UNKNOWN 255

byte inserted = 0; byte durable = 0; byte target = UNKNOWN;
byte round = 0; byte owner = 0;
bool asleep[N]; byte parity[N]; bool heir[N];
bool killed[N]; bool gone[N]; bool finished[N];

#define WAKE_IF(k, condition) if :: asleep[k] && (condition) -> asleep[k] = false :: else fi
#if N == 2
#define FOR_EACH(what) what(0); what(1)
#else
#define FOR_EACH(what) what(0); what(1); what(2)
#endif
#define WAKE_PARITY(k) WAKE_IF(k, parity[k] == ended)
#define WAKE_ANY(k) WAKE_IF(k, true)

/* One of those who begin the next round; a killed one that has not gone yet may be picked. */
inline wake_heir() {
  atomic {
    if
    :: asleep[0] && heir[0] -> asleep[0] = false
    :: asleep[1] && heir[1] -> asleep[1] = false
#if N > 2
    :: asleep[2] && heir[2] -> asleep[2] = false
#endif
    :: else -> skip
    fi
  }
}

inline end_round() {
  atomic { ended = round % 2; round++ };
#ifndef NO_NEXT
  wake_heir();
#endif
  d_step { FOR_EACH(WAKE_PARITY) };
}

proctype Backend(byte p) {
  byte n = 0; byte lsn = 0; byte seen = 0; byte ended = 0; byte aim = 0; byte covers = 0;
  {
    n = 0;
next:
    if
    :: n == OPS -> goto done
    :: else -> n++; atomic { inserted++; lsn = inserted }
    fi;
look:
    if :: durable >= lsn -> goto flushed :: else fi;
    seen = round;
    if
    :: atomic { owner == 0 -> owner = p + 1 }; goto own
    :: atomic { owner != 0 -> aim = target }
    fi;
    /* The two stores of a sleep are one call of the kernel. */
    if
    :: atomic {
         round == seen ->
         heir[p] = aim < lsn;
         parity[p] = (aim < lsn -> (seen + 1) % 2 : seen % 2);
         asleep[p] = true; aim = 0; seen = 0
       };
       !asleep[p]
    :: atomic { round != seen -> aim = 0; seen = 0 }
    fi;
    goto look;
own:
    if
    :: durable < lsn ->
       covers = inserted;
       target = covers;
       durable = covers;
#ifndef KEEP_TARGET
       target = UNKNOWN
#endif
    :: else
#ifdef QUIET_RELEASE
       -> owner = 0; seen = 0; goto look
#endif
    fi;
#ifdef END_BEFORE_RELEASE
    end_round();
    owner = 0;
#else
    owner = 0;
    end_round();
#endif
    atomic { covers = 0; ended = 0; seen = 0 };
    goto look;
flushed:
    assert(durable >= lsn);
    goto next;
done:
    finished[p] = true
  } unless { killed[p] };
  atomic {
    if :: finished[p] -> goto end_of_it :: else fi;
    asleep[p] = false; gone[p] = true
  };
end_of_it:
  skip
}

byte kills = 0;
#define KILL(k) :: kills < KILLS && !finished[k] && !killed[k] -> kills++; killed[k] = true
proctype Killer() {
end_killer:
  do
  KILL(0)
  KILL(1)
#if N > 2
  KILL(2)
#endif
  :: kills < KILLS -> kills = KILLS
  od
}

/* Reaps: repairs the flush lock, if the dead one held it, and ends the round for everybody. */
proctype Reaper() {
  byte p = 0;
end_reaper:
  do
  :: atomic {
       if
       :: gone[0] -> p = 0
       :: gone[1] -> p = 1
#if N > 2
       :: gone[2] -> p = 2
#endif
       fi;
       gone[p] = false
     };
     if
     :: owner == p + 1 -> target = UNKNOWN; owner = 0
     :: else
     fi;
#ifndef NO_REAP
     round++;
     d_step { FOR_EACH(WAKE_ANY) };
#endif
     p = 0
  od
}

init {
  atomic {
    run Backend(0); run Backend(1);
#if N > 2
    run Backend(2);
#endif
    run Killer(); run Reaper()
  }
}
