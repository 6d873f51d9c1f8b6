/// The process's own counters, log lines and clocks, for every shell. Nothing in here decides anything, knows a
/// patient, or blocks a hot path: counting is one relaxed atomic, and nobody orders other memory by it.
import Synchronization

/// A number that only grows, counted in whole things; its name ends in `_total`.
package final class Counter: Sendable {
  @usableFromInline let count = Atomic<Int64>(0)

  package init() {}

  /// Adds `amount` (zero or more). Any thread.
  @inlinable
  package func add(_ amount: Int = 1) {
    assert(amount >= 0, "a counter only grows")
    count.wrappingAdd(Int64(amount), ordering: .relaxed)
  }

  package var value: Int64 { count.load(ordering: .relaxed) }
}

/// A number that goes up and down, in the unit its name ends with.
package final class Gauge: Sendable {
  @usableFromInline let bits = Atomic<UInt64>(Double(0).bitPattern)

  package init() {}

  @inlinable
  package func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

  @inlinable
  package func set(_ value: Int) { set(Double(value)) }

  /// Adds `amount`, of either sign. Any thread.
  package func add(_ amount: Double) { bits.addDouble(amount) }

  package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How values are spread over fixed buckets: latencies in seconds, sizes in bytes.
package final class Histogram: Sendable {
  /// Ascending upper bounds, each inclusive; a last bucket without bound follows.
  package let bounds: [Double]
  private let counts: BucketCounts
  private let sumBits = Atomic<UInt64>(Double(0).bitPattern)

  package init(_ buckets: HistogramBuckets) {
    bounds = buckets.bounds
    counts = BucketCounts(buckets.bounds.count + 1)
  }

  /// Counts one value; one that is not finite is counted in the last bucket and left out of the sum. Any thread.
  package func observe(_ value: Double) {
    guard value.isFinite else {
      counts.add(at: bounds.count)
      return
    }
    var low = 0
    var high = bounds.count
    while low < high {
      let middle = (low + high) / 2
      if value <= bounds[middle] { high = middle } else { low = middle + 1 }
    }
    counts.add(at: low)
    sumBits.addDouble(value)
  }

  /// Counts a length of time in nanoseconds, as seconds.
  package func observe(nanoseconds: UInt64) { observe(Double(nanoseconds) / 1e9) }

  /// Values per bucket, not cumulative; the last is beyond all bounds.
  package var bucketCounts: [Int64] { (0...bounds.count).map { counts.count(at: $0) } }

  package var sum: Double { Double(bitPattern: sumBits.load(ordering: .relaxed)) }
}

/// Exponential bucket bounds.
package struct HistogramBuckets: Sendable, Hashable {
  package let bounds: [Double]

  /// `count` (1...64) bounds: `first` (above zero), then each `factor` (above one) times the one before.
  package init(first: Double, factor: Double, count: Int) {
    precondition(first > 0 && factor > 1 && (1...64).contains(count), "buckets must ascend and be few")
    var bounds = [first]
    while bounds.count < count { bounds.append(bounds[bounds.count - 1] * factor) }
    self.bounds = bounds
  }

  /// Seconds from 100 µs to about 52 s, doubling.
  package static let latencySeconds = HistogramBuckets(first: 0.0001, factor: 2, count: 20)

  /// Seconds until a person answers: 5 s to about 2 h 51 min, doubling.
  package static let answerSeconds = HistogramBuckets(first: 5, factor: 2, count: 12)

  /// Elements of a batch: 1 to 32,768, doubling.
  package static let batchSizes = HistogramBuckets(first: 1, factor: 2, count: 16)
}

/// A fixed row of atomic counts.
// `@unchecked`: the pointer never changes and leads only to atomics.
private final class BucketCounts: @unchecked Sendable {
  private let counts: UnsafeMutablePointer<Atomic<Int64>>

  init(_ count: Int) {
    counts = .allocate(capacity: count)
    for index in 0..<count { (counts + index).initialize(to: Atomic(0)) }
  }

  deinit { counts.deallocate() }

  func add(at index: Int) { counts[index].wrappingAdd(1, ordering: .relaxed) }

  func count(at index: Int) -> Int64 { counts[index].load(ordering: .relaxed) }
}

extension Atomic where Value == UInt64 {
  /// Adds to the `Double` whose bits the word holds.
  fileprivate func addDouble(_ amount: Double) {
    var seen = load(ordering: .relaxed)
    while true {
      let sum = (Double(bitPattern: seen) + amount).bitPattern
      let (exchanged, original) = weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
      if exchanged { return }
      seen = original
    }
  }
}
