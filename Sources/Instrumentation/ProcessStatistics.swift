import Glibc

/// What the process itself has used so far.
package struct ProcessStatistics: Sendable, Hashable {
  /// Processor time in user mode and in the kernel, in seconds.
  package let userSeconds: Double
  package let systemSeconds: Double
  /// Memory held now and at most, in bytes. Zero when the kernel does not say.
  package let residentBytes: Int
  package let residentBytesMax: Int

  /// Reads `getrusage` and `/proc/self/statm`: two system calls and a small file. Cold paths only.
  package static func read() -> ProcessStatistics {
    var usage = rusage()
    getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    return ProcessStatistics(
      userSeconds: seconds(usage.ru_utime), systemSeconds: seconds(usage.ru_stime),
      residentBytes: residentPages() * Int(sysconf(Int32(_SC_PAGESIZE))),
      residentBytesMax: Int(usage.ru_maxrss) * 1_024)
  }

  /// Registers the conventional `process_…` metrics, read at each rendering.
  package static func register(in registry: MetricRegistry) {
    registry.counter("process_cpu_seconds_total", "Processor time used, user and system, in seconds.") {
      let now = read()
      return now.userSeconds + now.systemSeconds
    }
    registry.gauge("process_resident_memory_bytes", "Memory held now, in bytes.") { Double(read().residentBytes) }
    registry.gauge("process_resident_memory_max_bytes", "Most memory ever held, in bytes.") {
      Double(read().residentBytesMax)
    }
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  /// The second number of statm.
  private static func residentPages() -> Int {
    let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return 0 }
    let words = bytes[..<count].split(separator: UInt8(ascii: " "))
    return words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) ?? 0 : 0
  }
}
