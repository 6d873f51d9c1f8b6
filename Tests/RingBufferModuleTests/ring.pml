/* The ring's sleep and wake protocol for spin: one producer, stage A behind it, stage B behind A (or, with FAN, behind
 * the producer too), capacity 2. Sequentially consistent memory; the store buffers are explored in RingModelTests.
 *
 *   spin -a ring.pml && cc -O2 -o pan pan.c && ./pan
 *
 * "errors: 0" says: no assertion fails (no overrun, no wrong element, no stage B before stage A) and there is no
 * invalid end state (nobody sleeps for ever, so no wake-up is lost). NO_COUNT, NO_RECHECK and NO_BARRIER each take one
 * part out; spin must then find an error.
 */
#ifndef ITEMS
#define ITEMS 3
#endif
#define CAPACITY 2

/* 0: the producer's cursor, 1 and 2: the sequences of A and B. */
byte sequence[3];
/* Bit 0: somebody may be asleep; the rest counts wake-ups. */
byte word[3];
bool closed;
byte slot[CAPACITY];
byte handled[3];
/* The word each process sleeps on, plus one; 0: awake. */
byte asleepOn[3];

#ifdef FAN
#define BARRIER_OF_B 0
#else
#define BARRIER_OF_B 1
#endif

/* WakeWord.wakeAfterStore: check, exchange the odd word for the next even one, wake all. */
inline wakeAfterStore(w) {
  do
  :: seen = word[w];
     if
     :: !(seen & 1) -> break
     :: else ->
        atomic { exchanged = (word[w] == seen);
          if
          :: exchanged ->
#ifdef NO_COUNT
             word[w] = 0
#else
             word[w] = seen + 1
#endif
          :: else -> skip
          fi };
        if
        :: exchanged ->
           d_step { i = 0;
             do
             :: i < 3 -> if :: asleepOn[i] == w + 1 -> asleepOn[i] = 0 :: else -> skip fi; i++
             :: else -> break
             od; i = 0 };
           break
        :: else -> skip
        fi
     fi
  od;
  seen = 0; exchanged = 0
}

inline announce(w) {
  d_step { word[w] = word[w] | 1; announced = word[w] }
}

/* The kernel compares and falls asleep in one step. */
inline sleepUnlessWoken(me, w) {
  atomic {
    if
    :: word[w] == announced -> asleepOn[me] = w + 1
    :: else -> skip
    fi;
    announced = 0 };
  asleepOn[me] == 0
}

proctype Producer() {
  byte position, seen, announced, behind, first, second, i;
  bool exchanged, room;
  do
  :: position == ITEMS -> break
  :: else ->
waiting:
     first = sequence[1];
     /* The second load and what follows from the two is one step: only the loads touch shared memory. */
     d_step {
       second = sequence[2];
       behind = (second < first -> 2 : 1);
       room = position < (second < first -> second : first) + CAPACITY;
       first = 0;
       second = 0 };
     if
     :: room -> d_step { behind = 0; room = 0 }
     :: else ->
        announce(behind);
#ifndef NO_RECHECK
        if
        :: sequence[behind] + CAPACITY > position -> d_step { announced = 0; behind = 0 }; goto waiting
        :: else -> skip
        fi;
#endif
        sleepUnlessWoken(0, behind);
        behind = 0;
        goto waiting
     fi;
     atomic {
       assert(slot[position % CAPACITY] == 0 ||
         (handled[1] >= slot[position % CAPACITY] && handled[2] >= slot[position % CAPACITY]));
       slot[position % CAPACITY] = position + 1 };
     position++;
     sequence[0] = position;
     wakeAfterStore(0)
  od;
  closed = true;
  wakeAfterStore(0);
  wakeAfterStore(1);
  wakeAfterStore(2)
}

proctype Consumer(byte me; byte barrier) {
  byte position, seen, announced, i;
  bool exchanged;
waiting:
  if
  :: sequence[barrier] > position -> skip
  :: else ->
     announce(barrier);
#ifndef NO_RECHECK
     if
     :: sequence[barrier] > position -> announced = 0; goto waiting
     :: else -> skip
     fi;
#endif
     if
     :: closed -> if :: sequence[0] <= position -> goto done :: else -> skip fi
     :: else -> skip
     fi;
     sleepUnlessWoken(me, barrier);
     goto waiting
  fi;
  atomic {
    assert(slot[position % CAPACITY] == position + 1);
#ifndef FAN
    assert(me == 1 || handled[1] > position);
#endif
    handled[me] = position + 1 };
  position++;
  sequence[me] = position;
  wakeAfterStore(me);
  goto waiting;
done:
  assert(position == ITEMS)
}

init {
  atomic {
    run Producer();
    run Consumer(1, 0);
#ifdef NO_BARRIER
    run Consumer(2, 0)
#else
    run Consumer(2, BARRIER_OF_B)
#endif
  }
}
