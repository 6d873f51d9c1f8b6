import Glibc
import RingBufferModule
import Synchronization

/// The ring beside a mutex around a Swift array: processor time per element on one thread, then the rate between two.
///
/// Prints the median of five interleaved runs, lowest and highest beside it, and a checksum of what arrived, which
/// must be the same in every row. `items` is how many elements each run moves; a small number serves as a test.
func ringBenchmark(items: Int) {
  let rounds = max(1, items / RingBenchmark.burst)
  let expected = RingBenchmark.expectedSum(rounds * RingBenchmark.burst)
  let rows: [(String, (Int) -> RingBenchmark.Outcome)] = [
    ("ring, batch of 1024", { RingBenchmark.ringBatched(rounds: $0, batch: 1_024) }),
    ("ring, batch of 32", { RingBenchmark.ringBatched(rounds: $0, batch: 32) }),
    ("ring, one by one", RingBenchmark.ringSingles),
    ("floor: plain buffer, no queue", RingBenchmark.floor),
    ("baseline: mutex and array", RingBenchmark.baseline),
  ]
  var outcomes = rows.map { _ in [RingBenchmark.Outcome]() }
  for _ in 0..<5 {
    for (index, row) in rows.enumerated() { outcomes[index].append(row.1(rounds)) }
  }
  print("one thread, 64-byte elements, push \(RingBenchmark.burst) then pop, CPU ns per element (median, min, max)")
  for (row, runs) in zip(rows, outcomes) {
    report(row.0, runs.map { $0.nanoseconds / Double(rounds * RingBenchmark.burst) }, runs, expected)
  }
  let moved = rounds * RingBenchmark.burst
  let acrossRows: [(String, (Int) -> RingBenchmark.Outcome)] = [
    ("ring, batch of 32", RingAcrossThreads.run), ("baseline: mutex and array", QueueAcrossThreads.run),
  ]
  var across = acrossRows.map { _ in [RingBenchmark.Outcome]() }
  for _ in 0..<5 {
    for (index, row) in acrossRows.enumerated() { across[index].append(row.1(moved)) }
  }
  print("two threads, million elements per second of wall time (median, min, max)")
  for (row, runs) in zip(acrossRows, across) {
    report(row.0, runs.map { Double(moved) * 1_000 / $0.nanoseconds }, runs, expected)
  }
}

private func report(_ name: String, _ values: [Double], _ runs: [RingBenchmark.Outcome], _ expected: UInt64) {
  let sorted = values.sorted()
  let isRight = runs.allSatisfy { $0.checksum == expected }
  let numbers = [sorted[sorted.count / 2], sorted[0], sorted[sorted.count - 1]].map { hundredths($0) }
  let verdict = isRight ? "ok" : "WRONG"
  print("  \(name): \(numbers.joined(separator: " "))  checksum \(String(expected, radix: 16)) \(verdict)")
}

private func hundredths(_ value: Double) -> String {
  let scaled = Int((value * 100).rounded())
  return "\(scaled / 100).\(scaled % 100 < 10 ? "0" : "")\(scaled % 100)"
}

/// A 64-byte element, as large as a ring slot of the service.
struct BenchmarkElement: BitwiseCopyable {
  var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  @inline(__always)
  init(_ number: UInt64) { words = (number, 1, 2, 3, 4, 5, 6, number) }
}

enum RingBenchmark {
  struct Outcome {
    var nanoseconds: Double
    var checksum: UInt64
  }

  static let burst = 1_024

  /// Depends on each element's place, so that a lost, doubled or swapped one shows; a chain of one addition, so that
  /// it hardly adds to what is measured.
  struct Checksum {
    private(set) var value: UInt64 = 0
    private var place: UInt64 = 1

    @inline(__always)
    mutating func add(_ element: BenchmarkElement) {
      value &+= (element.words.0 ^ element.words.7 << 32) &* place
      place &+= 2
    }
  }

  static func expectedSum(_ count: Int) -> UInt64 {
    var sum = Checksum()
    for number in 0..<UInt64(count) { sum.add(BenchmarkElement(number)) }
    return sum.value
  }

  static func threadNanoseconds() -> Double { nanoseconds(CLOCK_THREAD_CPUTIME_ID) }

  static func nanoseconds(_ clock: clockid_t) -> Double {
    var now = timespec()
    clock_gettime(clock, &now)
    return Double(now.tv_sec) * 1e9 + Double(now.tv_nsec)
  }

  static func ring(capacity: Int) -> Ring<BenchmarkElement> {
    guard let ring = try? Ring<BenchmarkElement>(capacity: capacity, stages: [StageSpec("sum")]) else {
      preconditionFailure("the capacity is a power of two")
    }
    return ring
  }

  static func consumer(_ ring: Ring<BenchmarkElement>) -> Ring<BenchmarkElement>.Consumer {
    do { return try ring.takeConsumer("sum") } catch { preconditionFailure("the stage was just built") }
  }

  static func ringBatched(rounds: Int, batch: Int) -> Outcome {
    let ring = ring(capacity: burst)
    var producer = ring.takeProducer()
    var consumer = consumer(ring)
    var sum = Checksum()
    var number: UInt64 = 0
    let start = threadNanoseconds()
    for _ in 0..<rounds {
      for _ in 0..<(burst / batch) {
        guard producer.claim(batch) == batch else { return Outcome(nanoseconds: 0, checksum: 0) }
        for _ in 0..<batch {
          producer.stage(BenchmarkElement(number))
          number &+= 1
        }
        producer.publish()
      }
      for _ in 0..<(burst / batch) { _ = consumer.drain(limit: batch) { sum.add($0) } }
    }
    return Outcome(nanoseconds: threadNanoseconds() - start, checksum: sum.value)
  }

  static func ringSingles(rounds: Int) -> Outcome {
    let ring = ring(capacity: burst)
    var producer = ring.takeProducer()
    var consumer = consumer(ring)
    var sum = Checksum()
    var number: UInt64 = 0
    let start = threadNanoseconds()
    for _ in 0..<rounds {
      while producer.tryPush(BenchmarkElement(number)) { number &+= 1 }
      while let element = consumer.pop() { sum.add(element) }
    }
    return Outcome(nanoseconds: threadNanoseconds() - start, checksum: sum.value)
  }

  /// What writing the elements to memory and summing them costs by itself; the ring's own share is what exceeds it.
  static func floor(rounds: Int) -> Outcome {
    let slots = UnsafeMutablePointer<BenchmarkElement>.allocate(capacity: burst)
    defer { slots.deallocate() }
    var sum = Checksum()
    var number: UInt64 = 0
    let start = threadNanoseconds()
    for _ in 0..<rounds {
      for index in 0..<burst {
        slots[index] = BenchmarkElement(number)
        number &+= 1
      }
      for index in 0..<burst { sum.add(slots[index]) }
    }
    return Outcome(nanoseconds: threadNanoseconds() - start, checksum: sum.value)
  }

  static func baseline(rounds: Int) -> Outcome {
    let queue = LockedQueue(capacity: burst)
    var sum = Checksum()
    var number: UInt64 = 0
    let start = threadNanoseconds()
    for _ in 0..<rounds {
      while queue.push(BenchmarkElement(number)) { number &+= 1 }
      while let element = queue.pop() { sum.add(element) }
    }
    return Outcome(nanoseconds: threadNanoseconds() - start, checksum: sum.value)
  }
}

/// The plain form: a circular array behind a mutex.
final class LockedQueue: Sendable {
  private struct State {
    var slots: [BenchmarkElement]
    var head = 0
    var count = 0
  }

  private let state: Mutex<State>

  init(capacity: Int) { state = Mutex(State(slots: Array(repeating: BenchmarkElement(0), count: capacity))) }

  func push(_ element: BenchmarkElement) -> Bool {
    state.withLock { state in
      guard state.count < state.slots.count else { return false }
      state.slots[(state.head + state.count) % state.slots.count] = element
      state.count += 1
      return true
    }
  }

  func pop() -> BenchmarkElement? {
    state.withLock { state in
      guard state.count > 0 else { return nil }
      let element = state.slots[state.head]
      state.head = (state.head + 1) % state.slots.count
      state.count -= 1
      return element
    }
  }
}

/// One thread sums what another pushes through the ring.
private final class RingAcrossThreads {
  private let ring: Ring<BenchmarkElement>
  private var sum = RingBenchmark.Checksum()

  private init() { ring = RingBenchmark.ring(capacity: 65_536) }

  static func run(items: Int) -> RingBenchmark.Outcome {
    let work = RingAcrossThreads()
    var producer = work.ring.takeProducer()
    let start = RingBenchmark.nanoseconds(CLOCK_MONOTONIC)
    let thread = startThread(ringConsumerMain, Unmanaged.passRetained(work).toOpaque())
    var number = 0
    while number < items {
      let room = producer.claim(min(32, items - number))
      if room == 0 { _ = producer.waitForRoom(1, timeoutNanoseconds: -1) }
      for _ in 0..<room {
        producer.stage(BenchmarkElement(UInt64(number)))
        number += 1
      }
      producer.publish()
    }
    producer.close()
    pthread_join(thread, nil)
    return .init(nanoseconds: RingBenchmark.nanoseconds(CLOCK_MONOTONIC) - start, checksum: work.sum.value)
  }

  func consume() {
    var consumer = RingBenchmark.consumer(ring)
    var total = RingBenchmark.Checksum()
    while consumer.wait(timeoutNanoseconds: -1) == .ready {
      _ = consumer.drain(limit: 1_024) { total.add($0) }
    }
    sum = total
  }
}

/// The same through the locked queue; both sides yield when it is full or empty.
private final class QueueAcrossThreads {
  private let queue = LockedQueue(capacity: 65_536)
  private let items: Int
  private var sum = RingBenchmark.Checksum()

  private init(items: Int) { self.items = items }

  static func run(items: Int) -> RingBenchmark.Outcome {
    let work = QueueAcrossThreads(items: items)
    let start = RingBenchmark.nanoseconds(CLOCK_MONOTONIC)
    let thread = startThread(queueConsumerMain, Unmanaged.passRetained(work).toOpaque())
    for number in 0..<items {
      while !work.queue.push(BenchmarkElement(UInt64(number))) { sched_yield() }
    }
    pthread_join(thread, nil)
    return .init(nanoseconds: RingBenchmark.nanoseconds(CLOCK_MONOTONIC) - start, checksum: work.sum.value)
  }

  func consume() {
    var total = RingBenchmark.Checksum()
    for _ in 0..<items {
      var element = queue.pop()
      while element == nil {
        sched_yield()
        element = queue.pop()
      }
      if let element { total.add(element) }
    }
    sum = total
  }
}

private func startThread(
  _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer
) -> pthread_t {
  var thread = pthread_t()
  precondition(pthread_create(&thread, nil, body, context) == 0, "no thread")
  return thread
}

private func ringConsumerMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<RingAcrossThreads>.fromOpaque(context).takeRetainedValue().consume()
  return nil
}

private func queueConsumerMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<QueueAcrossThreads>.fromOpaque(context).takeRetainedValue().consume()
  return nil
}
