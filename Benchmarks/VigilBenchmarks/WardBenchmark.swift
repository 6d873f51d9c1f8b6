import AlertJournal
import Configuration
import Glibc
import Instrumentation
import KeyValueStore
import SeriesStore
import Service
import VitalModel

/// The whole service at a ward's work, without a broker: payloads are decoded, ordered, made durable, judged and sealed as
/// in `vigil run`, on the same threads; only the socket is missing (its cost is `live/throughput`'s).
///
/// First as fast as it goes, so that ten minutes of chunks fill up; then, if asked, in real time, where commits are small
/// and many; then with nothing to do.
struct WardBenchmark {
  struct Options {
    var patients = 10_000
    /// Simulated.
    var seconds = 900
    /// Real time.
    var paced = 10
    var idle = 5
    var isJSON = false

    init(_ arguments: [String]) {
      let options = LiveOptions(arguments.filter { $0 != "--json" })
      isJSON = arguments.contains("--json")
      patients = min(max(1, options.number("patients", patients)), 100_000)
      seconds = max(1, options.number("seconds", seconds))
      paced = max(0, options.number("paced", paced))
      idle = max(0, options.number("idle", idle))
    }
  }

  /// What the process has used so far.
  struct Usage {
    var cpu: Double
    var residentMax: Int
    var resident: Int
    var written: Int

    static func now() -> Usage {
      let process = ProcessStatistics.read()
      return Usage(
        cpu: process.userSeconds + process.systemSeconds, residentMax: process.residentBytesMax,
        resident: process.residentBytes, written: WardDisk.writtenBytes())
    }
  }

  private let options: Options
  private var report = WardReport()

  /// - Returns: the exit code.
  static func run(_ arguments: [String]) -> Int32 {
    var benchmark = WardBenchmark(options: Options(arguments))
    do {
      try benchmark.run()
      return 0
    } catch let failure as StartFailure {
      print("ward: failed: \(failure.lines.joined(separator: "; "))")
    } catch {
      print("ward: failed: \(error)")
    }
    return 1
  }

  private init(options: Options) { self.options = options }

  private mutating func run() throws {
    let folder = try StorageFolder.make()
    defer { StorageFolder.remove(folder) }
    var configuration = VigilConfiguration()
    configuration.brokers = []
    configuration.identity = .device
    // Patients live by their samples' time, which runs ahead of the wall clock's.
    configuration.clock = .stream
    configuration.storePath = folder + "/store"
    configuration.listen.port = 0
    configuration.logLevel = .error
    let service = try VigilService(
      VigilService.Settings(configuration: configuration, configurationPath: nil, version: "benchmark"))
    var traffic = WardTraffic(patients: options.patients, start: Int64(time(nil)) * 1000)
    report.patients = options.patients
    report.seconds = options.seconds
    guard compressed(service, &traffic), paced(service, &traffic) else {
      service.abandon()
      throw WardError.gaveUp
    }
    idle()
    report.residentBytesMax = Usage.now().residentMax
    report.openBytes = Int(figure("vigil_open_chunk_bytes", service))
    // Not stopped: that would seal every open chunk, however small, which a running ward does not do.
    service.abandon()
    report.directoryBytes = StorageFolder.bytes(folder + "/store")
    try readFamilies(folder + "/store")
    print(options.isJSON ? report.json : report.text)
  }

  private mutating func compressed(_ service: VigilService, _ traffic: inout WardTraffic) -> Bool {
    var makingNanoseconds: UInt64 = 0
    let before = Usage.now()
    let began = SystemClock().monotonicNanoseconds()
    for second in 0..<options.seconds {
      let start = StorageBenchmark.nanoseconds()
      traffic.make(second: second)
      makingNanoseconds += StorageBenchmark.nanoseconds() - start
      report.payloadBytes += traffic.bytes.count
      // A thousand at a time: what a broker keeps in flight for one connection.
      for from in stride(from: 0, to: options.patients, by: 1000) {
        guard send(service, traffic, second, from..<min(from + 1000, options.patients)) else { return false }
      }
    }
    drain(service)
    let after = Usage.now()
    report.samples = options.seconds * options.patients * 4
    report.wallSeconds = Double(SystemClock().monotonicNanoseconds() - began) / 1e9
    report.cpuSeconds = after.cpu - before.cpu - Double(makingNanoseconds) / 1e9
    report.writtenBytes = after.written - before.written
    return true
  }

  private mutating func paced(_ service: VigilService, _ traffic: inout WardTraffic) -> Bool {
    guard options.paced > 0 else { return true }
    var makingNanoseconds: UInt64 = 0
    let before = Usage.now()
    let began = SystemClock().monotonicNanoseconds()
    for paced in 0..<options.paced {
      let second = options.seconds + paced
      let start = StorageBenchmark.nanoseconds()
      traffic.make(second: second)
      makingNanoseconds += StorageBenchmark.nanoseconds() - start
      report.payloadBytes += traffic.bytes.count
      var sent = 0
      while sent < options.patients {
        let elapsed = Double(SystemClock().monotonicNanoseconds() - began) / 1e9 - Double(paced)
        let due = min(options.patients, Int(max(0, elapsed) * Double(options.patients)))
        if due > sent {
          guard send(service, traffic, second, sent..<due) else { return false }
          sent = due
        }
        usleep(1000)
      }
    }
    let after = Usage.now()
    report.pacedSeconds = Double(SystemClock().monotonicNanoseconds() - began) / 1e9
    report.pacedCPUSeconds = after.cpu - before.cpu - Double(makingNanoseconds) / 1e9
    report.pacedWrittenBytes = after.written - before.written
    drain(service)
    return true
  }

  private mutating func idle() {
    guard options.idle > 0 else { return }
    let before = Usage.now()
    sleep(UInt32(options.idle))
    report.idleShare = (Usage.now().cpu - before.cpu) / Double(options.idle)
    report.residentBytes = Usage.now().resident
  }

  private func send(_ service: VigilService, _ traffic: WardTraffic, _ second: Int, _ patients: Range<Int>) -> Bool {
    service.takeIn { take in
      traffic.bytes.withUnsafeBytes { bytes in
        for patient in patients {
          let start = patient == 0 ? 0 : traffic.ends[patient - 1]
          let payload = UnsafeRawBufferPointer(rebasing: bytes[start..<traffic.ends[patient]])
          let time = traffic.time(second: second, patient: patient)
          // A network takes some ms.
          traffic.topics[patient].withUnsafeBytes { take($0, payload, time + 20 + Int64((patient &+ second) % 15)) }
        }
      }
    }
  }

  /// Until everything durable is judged and gathered.
  private func drain(_ service: VigilService) {
    for _ in 0..<600 {
      if figure("vigil_ring_depth_evaluate", service) == 0, figure("vigil_ring_depth_seal", service) == 0 { return }
      usleep(100_000)
    }
  }

  private func figure(_ name: String, _ service: VigilService) -> Double {
    for line in service.meters.registry.render().split(separator: "\n") where line.hasPrefix(name + " ") {
      return Double(line.split(separator: " ").last ?? "") ?? 0
    }
    return 0
  }

  /// Bytes each family takes once its memory is written out.
  private mutating func readFamilies(_ path: String) throws {
    let store = try VigilStore.open(path: path)
    defer { store.close() }
    try store.store.flush()
    for name in try store.store.familyNames().sorted() {
      let bytes = Int(try store.store.liveFileBytes(try store.store.family(name)))
      if bytes > 0 { report.families.append((name, bytes)) }
    }
    let stored = try SeriesReader(store.store).stats()
    report.sealedSamples = stored.samples
    report.chunks = stored.chunks
  }
}

enum WardError: Error, CustomStringConvertible {
  case gaveUp
  var description: String { "the service gave up: its disk takes no writes" }
}

/// What the kernel says of this process and its disk.
enum WardDisk {
  /// Bytes this process caused to be written to a disk so far; 0 where the kernel does not say.
  static func writtenBytes() -> Int {
    guard let lines = LiveLine.read("/proc/self/io") else { return 0 }
    for line in lines where line.hasPrefix("write_bytes: ") { return Int(line.dropFirst(13)) ?? 0 }
    return 0
  }
}
