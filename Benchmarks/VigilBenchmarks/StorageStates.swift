import ChunkCoding
import SeriesStore
import Service

/// Whether the start states in the program are what its simulator teaches, byte for byte, on this machine too.
enum StorageStates {
  /// - Returns: the exit code.
  static func run() -> Int32 {
    do {
      let lessons = CodecLessons()
      let start = StorageBenchmark.nanoseconds()
      try lessons.simulate(seed: CodecLessons.builtInSeed)
      let states = try lessons.finish(id: StartStates.builtIn.id, keepsValues: false)
      let rate = Double(lessons.samples) * 1000 / Double(max(1, StorageBenchmark.nanoseconds() - start))
      guard states?.bytes == StartStates.builtIn.bytes else {
        print("states: failed: the simulator teaches \(states?.bytes.count ?? 0) other bytes than the built-in set")
        return 1
      }
      print(
        "states: \(lessons.samples) simulated samples teach the built-in set, the same \(states?.bytes.count ?? 0) bytes; "
          + "\(StorageReport.number(rate, 1)) M samples/s")
      return 0
    } catch {
      print("states: failed: \(error)")
      return 1
    }
  }
}
