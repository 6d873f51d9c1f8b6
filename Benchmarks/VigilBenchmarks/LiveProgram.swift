import Glibc

/// The benchmark program: one subcommand a measurement. It measures the rooms of Vigil from outside and holds nothing that
/// the product uses.
enum BenchmarkProgram {
  static let usage = """
    usage: VigilBenchmarks SUBCOMMAND

      ring [ELEMENTS]       the ring beside a mutex around an array
      decode [ROUNDS]       one payload of each format
      storage [--sets A,B] [--data FOLDER] [--rows 60,600,3600] [--patients N] [--hours N] [--repeats N]
              [--export FOLDER] [--json]
                            bytes a sample in chunks and table files, and speeds, beside zstd on the same chunks
      states                whether the simulator teaches the built-in start states, byte for byte
      sealing [DEVICES ROWS]
                            gathering and sealing samples
      ward [--patients N] [--seconds N] [--paced N] [--idle N] [--json]
                            the whole service at a ward's work: CPU, memory, disk; run it in the package's top folder
      engine [SAMPLES | --input RECORDING] [--set NAME]
                            the engine alone with a rule set (adult-ward); run it in the package's top folder
      sweep RECORDING [--set NAME] [--rule ID] [--settings N] [--threads N]
                            many settings of one rule in one pass beside plain replays; run it in the package's top folder
      samework INPUT OUTPUT [--rules FOLDER]
                            the peers' comparison: JSON lines in, alert lines out
      live-publish --port P [--rate R] [--seconds S] [--devices N] [--output FILE]
                            a paced QoS 1 stream; rate 0: as fast as the broker takes it
      live-sink --port P    a webhook receiver that keeps the time of each alert; GET /count, GET /lines
      live-join PUBLISHED RECEIVED
                            latencies of a published and a received list, as one JSON line

    Benchmarks/live/run and Benchmarks/live/throughput put the live parts together.
    """

  /// - Returns: the exit code: 0, 1 when a measurement failed, 2 for a wrong command line.
  static func run(_ arguments: [String]) -> Int32 {
    let rest = Array(arguments.dropFirst())
    func number(_ place: Int, _ otherwise: Int) -> Int {
      rest.count > place ? Int(rest[place]) ?? otherwise : otherwise
    }
    switch arguments.first {
    case "ring": ringBenchmark(items: max(1, number(0, 10_000_000)))
    case "decode": decodeBenchmark(rounds: max(1, number(0, 1_000_000)))
    case "storage": return StorageBenchmark.run(rest)
    case "states": return StorageStates.run()
    case "sealing": sealingBenchmark(devices: max(1, number(0, 100)), rows: max(1, number(1, 600)))
    case "ward": return WardBenchmark.run(rest)
    case "engine": return EngineBenchmark.run(rest)
    case "sweep" where !rest.isEmpty: return SweepBenchmark.run(rest[0], LiveOptions(Array(rest.dropFirst())))
    case "samework" where rest.count == 2 || rest.count == 4 && rest[2] == "--rules":
      return SameWork.run(
        input: rest[0], output: rest[1], rules: rest.count == 4 ? rest[3] : "Benchmarks/samework/rules")
    case "live-publish": return LivePublisher.run(LiveOptions(rest))
    case "live-sink": return LiveSink.run(LiveOptions(rest))
    case "live-join" where rest.count == 2: return LiveLatency.run(published: rest[0], received: rest[1])
    default:
      print(usage)
      return 2
    }
    return 0
  }
}

/// `--name value` pairs of a live subcommand.
struct LiveOptions {
  private var values: [String: String] = [:]

  init(_ arguments: [String]) {
    for index in stride(from: 0, to: arguments.count - 1, by: 2) where arguments[index].hasPrefix("--") {
      values[String(arguments[index].dropFirst(2))] = arguments[index + 1]
    }
  }

  func text(_ name: String) -> String? { values[name] }
  func number(_ name: String, _ otherwise: Int) -> Int { values[name].flatMap { Int($0) } ?? otherwise }
}

/// One episode as the publisher began it or the receiver heard of it: both sides write the same line, so that the two
/// lists can be joined.
enum LiveLine {
  /// Wall clock, in microseconds since 1970.
  static func nowMicros() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
  }

  /// `patient onset_ms time_us`, without a line end.
  static func text(patient: String, onsetMs: Int64, atMicros: Int64) -> String {
    "\(patient) \(onsetMs) \(atMicros)"
  }

  static func write(_ lines: [String], to path: String) -> Bool {
    guard let file = fopen(path, "w") else { return false }
    let text = lines.joined(separator: "\n") + (lines.isEmpty ? "" : "\n")
    let written = text.utf8CString.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count - 1, file) }
    return fclose(file) == 0 && written == text.utf8.count
  }

  static func read(_ path: String) -> [String]? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&part, 1, part.count, file)
      guard count > 0 else { break }
      bytes += part[..<count]
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
