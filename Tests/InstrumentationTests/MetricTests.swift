import Foundation
import Glibc
import Instrumentation
import Testing

@Suite struct MetricTests {
  @Test func counterAndGaugeCount() {
    let registry = MetricRegistry()
    let samples = registry.counter("vigil_samples_total", "Samples taken in.")
    let depth = registry.gauge("vigil_ring_depth", "Elements waiting in the ring.")
    samples.add()
    samples.add(41)
    depth.set(7)
    depth.add(-2.5)
    #expect(samples.value == 42 && depth.value == 4.5)
    #expect(
      registry.render() == """
        # HELP vigil_ring_depth Elements waiting in the ring.
        # TYPE vigil_ring_depth gauge
        vigil_ring_depth 4.5
        # HELP vigil_samples_total Samples taken in.
        # TYPE vigil_samples_total counter
        vigil_samples_total 42

        """)
  }

  @Test func histogramBucketsAreInclusiveAndCumulativeWhenRendered() {
    let registry = MetricRegistry()
    let buckets = HistogramBuckets(first: 1, factor: 2, count: 3)
    let histogram = registry.histogram("vigil_fsync_seconds", "Length of a sync.", buckets)
    #expect(buckets.bounds == [1, 2, 4])
    for value in [0.5, 1, 1.5, 4, 4.25, -1] { histogram.observe(value) }
    histogram.observe(.infinity)
    histogram.observe(.nan)
    histogram.observe(nanoseconds: 1_500_000_000)
    #expect(histogram.bucketCounts == [3, 2, 1, 3])
    #expect(histogram.sum == 11.75)
    let text = registry.render()
    #expect(text.contains("vigil_fsync_seconds_bucket{le=\"1.0\"} 3\n"))
    #expect(text.contains("vigil_fsync_seconds_bucket{le=\"2.0\"} 5\n"))
    #expect(text.contains("vigil_fsync_seconds_bucket{le=\"4.0\"} 6\n"))
    #expect(text.contains("vigil_fsync_seconds_bucket{le=\"+Inf\"} 9\n"))
    #expect(text.contains("vigil_fsync_seconds_sum 11.75\n"))
    #expect(text.contains("vigil_fsync_seconds_count 9\n"))
  }

  @Test func familiesAreSortedEscapedAndBounded() {
    let registry = MetricRegistry()
    let rejects = registry.counterFamily(
      "vigil_rejects_total", "Rejects by reason.", labels: ["reason", "input"], cardinality: 2)
    rejects.with("z", "a").add()
    rejects.with("quote\"back\\slash\nline", "b").add(2)
    rejects.with("third", "c").add(3)
    rejects.with("fourth", "d").add(4)
    #expect(rejects.with("third", "x") === rejects.with("other", "other"))
    #expect(rejects.with("z", "a") === rejects.with("z", "a"))
    let lines = registry.render().split(separator: "\n").dropFirst(2)
    #expect(
      Array(lines) == [
        #"vigil_rejects_total{reason="other",input="other"} 7"#,
        #"vigil_rejects_total{reason="quote\"back\\slash\nline",input="b"} 2"#,
        #"vigil_rejects_total{reason="z",input="a"} 1"#,
      ])
    rejects.remove(["z", "a"])
    #expect(!registry.render().contains("reason=\"z\""))
  }

  @Test func pulledNumbersAreReadWhenRendered() {
    let registry = MetricRegistry()
    let source = Counter()
    registry.gauge("vigil_age_seconds", "Age.") { Double(source.value) }
    source.add(3)
    #expect(registry.render().hasSuffix("vigil_age_seconds 3\n"))
    source.add(1)
    #expect(registry.render().hasSuffix("vigil_age_seconds 4\n"))
  }

  @Test func countsFromManyThreadsAllArrive() {
    let registry = MetricRegistry()
    let load = CountingLoad(
      counter: registry.counter("vigil_c_total", "C."), gauge: registry.gauge("vigil_g", "G."),
      histogram: registry.histogram("vigil_h_seconds", "H.", .latencySeconds))
    var threads: [pthread_t] = []
    for _ in 0..<4 {
      var thread = pthread_t()
      #expect(pthread_create(&thread, nil, countMany, Unmanaged.passRetained(load).toOpaque()) == 0)
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    #expect(load.counter.value == 4_000)
    #expect(load.gauge.value == 4_000)
    #expect(load.histogram.bucketCounts.reduce(0, +) == 4_000)
    #expect(load.histogram.sum == 4_000)
  }

  @Test func processStatisticsArePlausible() {
    let first = ProcessStatistics.read()
    #expect(first.residentBytes > 1 << 20 && first.residentBytesMax > 1 << 20)
    let second = ProcessStatistics.read()
    #expect(second.userSeconds + second.systemSeconds >= first.userSeconds + first.systemSeconds)
  }

  @Test(
    .enabled(if: access(promtool, X_OK) == 0, "SKIPPED: checking the text format needs /usr/bin/promtool"))
  func promtoolAcceptsTheText() throws {
    let registry = MetricRegistry()
    registry.counter("vigil_samples_total", "Samples \\ taken in,\nacross lines.").add(5)
    registry.gauge("vigil_queue_depth", "Depth.").set(.infinity)
    registry.gauge("vigil_empty_ratio", "Not a number yet.").set(.nan)
    registry.counterFamily("vigil_rejects_total", "Rejects.", labels: ["reason"]).with("a\"b\\c\nd").add()
    _ = registry.gaugeFamily("vigil_unused_ratio", "A family without instruments.", labels: ["stage"])
    let latency = registry.histogramFamily("vigil_step_seconds", "Steps.", .latencySeconds, labels: ["stage"])
    latency.with("journal").observe(0.25)
    latency.with("evaluate").observe(100)
    ProcessStatistics.register(in: registry)
    let (status, output) = try pipe(registry.render(), to: [promtool, "check", "metrics"])
    #expect(status == 0, "\(output)")
    #expect(output.isEmpty, "\(output)")
    // The check is able to fail.
    let (refusal, _) = try pipe("vigil_samples_total{ 1\n", to: [promtool, "check", "metrics"])
    #expect(refusal != 0)
  }

  /// Runs a program with `text` as its input and no signals blocked; returns its exit status and all it printed.
  private func pipe(_ text: String, to arguments: [String]) throws -> (Int32, String) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("metrics-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let input = folder.appendingPathComponent("input").path
    let output = folder.appendingPathComponent("output").path
    try text.write(toFile: input, atomically: false, encoding: .utf8)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    defer { for word in words { free(word) } }
    words.append(nil)
    var child = pid_t()
    try #require(posix_spawn(&child, arguments[0], &actions, &attributes, words, environ) == 0)
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    return ((status >> 8) & 255, try String(contentsOfFile: output, encoding: .utf8))
  }
}

private let promtool = "/usr/bin/promtool"

private final class CountingLoad: Sendable {
  let counter: Counter
  let gauge: Gauge
  let histogram: Histogram

  init(counter: Counter, gauge: Gauge, histogram: Histogram) {
    self.counter = counter
    self.gauge = gauge
    self.histogram = histogram
  }
}

private func countMany(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let load = Unmanaged<CountingLoad>.fromOpaque(context).takeRetainedValue()
  for _ in 0..<1_000 {
    load.counter.add()
    load.gauge.add(1)
    load.histogram.observe(1)
  }
  return nil
}
