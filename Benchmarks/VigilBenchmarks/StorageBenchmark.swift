import AlertJournal
import ChunkCoding
import Glibc
import SeriesStore
import VitalModel

/// How small samples get on disk, and how fast, beside zstd on the same chunks: synthetic vitals, the product's simulator
/// and the collected recordings, each as stamped at the source and with a network's noise on the stamps.
///
/// What is learned comes from other people than what is measured (``StorageSet``). Every chunk is unpacked and compared.
struct StorageBenchmark {
  struct Options {
    /// Folder of the recordings; nil: the synthetic sets alone.
    var data: String?
    /// Sets wanted; empty: all.
    var sets: Set<String> = []
    var rows = [60, 600, 3600]
    /// Of the synthetic set.
    var patients = 20
    var hours = 12
    var repeats = 3
    var isJSON = false
    /// Where to write what was measured, for other programs; nil: nowhere.
    var export: String?

    init(_ arguments: [String]) {
      let options = LiveOptions(arguments.filter { $0 != "--json" })
      isJSON = arguments.contains("--json")
      data = options.text("data") ?? getenv("VIGIL_DATA").map { String(cString: $0) } ?? "../shared/data"
      sets = Set(options.text("sets").map { $0.split(separator: ",").map(String.init) } ?? [])
      rows = options.text("rows").map { $0.split(separator: ",").compactMap { Int($0) } } ?? rows
      rows = rows.filter { (1...ChunkLimits.rowsMax).contains($0) }
      patients = max(1, options.number("patients", patients))
      hours = max(1, options.number("hours", hours))
      repeats = max(1, options.number("repeats", repeats))
      export = options.text("export")
    }

    func wants(_ set: String) -> Bool { sets.isEmpty || sets.contains(set) }
  }

  private let options: Options
  private let names = StorageNames()

  /// - Returns: the exit code.
  static func run(_ arguments: [String]) -> Int32 {
    do {
      try StorageBenchmark(options: Options(arguments)).run()
      return 0
    } catch {
      print("storage: failed: \(error)")
      return 1
    }
  }

  private init(options: Options) { self.options = options }

  private func run() throws {
    let simulated = StorageSimulated(names: names)
    // What every training begins with: the simulator, another seed than any that is measured.
    let lessons = simulated.groups(patients: 8, seconds: 3600, seed: 4242)
    if options.wants("synthetic") {
      for set in StorageSynthetic(names: names, patients: options.patients, hours: options.hours, seed: 20_240_607)
        .sets()
      { try measure(set, lessons: lessons) }
    }
    if options.wants("simulator") {
      for set in simulated.sets(patients: options.patients, seconds: min(options.hours, 4) * 3600) {
        try measure(set, lessons: lessons)
      }
    }
    guard let folder = options.data else { return }
    let recordings = StorageRecordings(folder: folder, names: names)
    for name in StorageRecordings.sets where options.wants(name) {
      guard let sets = try recordings.load(name) else {
        tell("storage: \(name): skipped, not in \(folder) (VIGIL_DATA or --data names another folder)")
        continue
      }
      for set in sets { try measure(set, lessons: lessons) }
    }
  }

  /// What is no result goes beside the results.
  private func tell(_ text: String) {
    guard options.isJSON else { return print(text) }
    let line = Array((text + "\n").utf8)
    _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private func measure(_ set: StorageSet, lessons: [StorageGroup]) throws {
    let entropy = StorageEntropy(set.test)
    var report = StorageReport(set: set, entropy: entropy)
    if let folder = options.export { try StorageExport.write(set, to: folder) }
    for rows in options.rows {
      let trial = try StorageTrial(set, rows: rows, lessons: lessons, names: names, repeats: options.repeats)
      report.rows += try trial.run()
    }
    print(options.isJSON ? report.json : report.text)
    fflush(nil)
  }

  /// CPU time of this thread, ns.
  static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// One set at one length of chunk: every codec in turn.
struct StorageTrial {
  private let set: StorageSet
  private let rows: Int
  private let repeats: Int
  private let codecs: [any StorageCodec]
  private let bare: [ChunkRows]
  private let marked: [ChunkRows]
  /// Samples that are packed and unpacked for the speeds; sizes are of all.
  private static let timedSamplesMax = 400_000

  init(
    _ set: StorageSet, rows: Int, lessons: [StorageGroup], names: StorageNames, repeats: Int
  ) throws {
    self.set = set
    self.rows = rows
    self.repeats = repeats
    bare = StorageChunks(rowsMax: rows, areMarked: false).chunks(set.test)
    marked = StorageChunks(rowsMax: rows, areMarked: true).chunks(set.test)
    codecs = try StorageTrial.codecs(set, rows: rows, lessons: lessons, names: names)
  }

  private static func codecs(
    _ set: StorageSet, rows: Int, lessons: [StorageGroup], names: StorageNames
  ) throws -> [any StorageCodec] {
    let states = try trained(set, lessons: lessons, names: names)
    var codecs: [any StorageCodec] = [
      try StorageProductCodec(
        "modelled, trained", try ModelledCodec(states: states) { names.key($0) }, states: [states]),
      try StorageProductCodec("modelled, built-in", try ModelledCodec(states: .builtIn) { names.key($0) }),
      try StorageProductCodec("modelled, untrained", try ModelledCodec(states: .untrained) { names.key($0) }),
      try StorageProductCodec("plain", try PlainCodec()),
    ]
    let finest = StorageVarints.finest(set.training + set.test)
    let training = StorageChunks(rowsMax: rows, areMarked: false).chunks(set.training)
    var samples = training.map { StorageVarints.body($0, finest: finest) }
    // Few long samples teach zstd nothing: it wants many short ones.
    if samples.count <= 50 {
      samples = samples.flatMap { body in
        stride(from: 0, to: body.count, by: 400).map { Array(body[$0..<min($0 + 400, body.count)]) }
      }
    }
    if let dictionary = StorageDictionary(samples: samples) {
      codecs.append(StorageZstdCodec("varint, zstd-19, dictionary", finest: finest, dictionary: dictionary))
    }
    codecs.append(StorageZstdCodec("varint, zstd-19", finest: finest))
    return codecs
  }

  /// First the simulator, then the set's own people: what came last counts most.
  private static func trained(
    _ set: StorageSet, lessons: [StorageGroup], names: StorageNames
  ) throws -> StartStates {
    let trainer = StatesTrainer()
    for groups in [lessons, set.training] {
      for rows in StorageChunks(rowsMax: 3600, areMarked: false).chunks(groups) {
        try trainer.add(rows: rows) { names.key($0) }
      }
    }
    return try trainer.finish(id: StatesShelf.ownNumberMin)
  }

  func run() throws -> [StorageReport.Row] {
    var results = try codecs.map(sizes)
    let speeds = try speeds()
    for index in results.indices {
      results[index].encode = speeds[index].encode
      results[index].decode = speeds[index].decode
    }
    return results
  }

  private func sizes(_ codec: any StorageCodec) throws -> StorageReport.Row {
    var row = StorageReport.Row(codec: codec.name, rows: rows)
    let packed = try packed(bare, codec, &row)
    row.samples = bare.reduce(0) { $0 + $1.cellCount }
    row.chunks = bare.count
    row.bytes = packed.reduce(0) { $0 + $1.bytes.count }
    row.headerBytes = try packed.reduce(0) { $0 + (try codec.headerBytes($1.bytes)) }
    guard codec is StorageProductCodec else { return row }
    var unused = row
    let withMarks = try self.packed(marked, codec, &unused)
    row.markBytes = withMarks.reduce(0) { $0 + $1.bytes.count } - row.bytes
    let folder = try StorageFolder.make()
    defer { StorageFolder.remove(folder) }
    row.tableBytes = try StorageTables.bytes(packed, folder: folder + "/bare")
    row.sealedTableBytes = try StorageTables.bytes(
      packed, folder: folder + "/sealed", key: MasterKey(text: try MasterKey.make()))
    row.markedTableBytes = try StorageTables.bytes(withMarks, folder: folder + "/marked")
    return row
  }

  /// Packed, unpacked, compared.
  private func packed(
    _ chunks: [ChunkRows], _ codec: any StorageCodec, _ row: inout StorageReport.Row
  ) throws -> [(rows: ChunkRows, bytes: [UInt8])] {
    try chunks.map { rows in
      let bytes = try codec.encode(rows)
      if let stamps = codec.stampBytes { row.stampBytes = (row.stampBytes ?? 0) + stamps }
      guard try codec.matches(bytes, rows) else {
        throw StorageTrialError.notTheSame(set.name, codec.name, patient: rows.patient, time: rows.times.first ?? 0)
      }
      return (rows, bytes)
    }
  }

  /// Millions of samples a second of CPU time: the median of runs in which the codecs take turns.
  private func speeds() throws -> [(encode: Double, decode: Double)] {
    var timed: [ChunkRows] = []
    var samples = 0
    for chunk in bare where samples < StorageTrial.timedSamplesMax {
      timed.append(chunk)
      samples += chunk.cellCount
    }
    var runs = codecs.map { _ in (encode: [UInt64](), decode: [UInt64]()) }
    for _ in 0..<repeats {
      for (index, codec) in codecs.enumerated() {
        var start = StorageBenchmark.nanoseconds()
        let packed = try timed.map { try codec.encode($0) }
        runs[index].encode.append(StorageBenchmark.nanoseconds() - start)
        start = StorageBenchmark.nanoseconds()
        for bytes in packed { try codec.decode(bytes) }
        runs[index].decode.append(StorageBenchmark.nanoseconds() - start)
      }
    }
    func rate(_ nanoseconds: [UInt64]) -> Double {
      Double(samples) * 1000 / Double(max(1, nanoseconds.sorted()[nanoseconds.count / 2]))
    }
    return runs.map { (rate($0.encode), rate($0.decode)) }
  }
}

enum StorageTrialError: Error, CustomStringConvertible {
  case notTheSame(String, String, patient: UInt32, time: Int64)

  var description: String {
    switch self {
    case .notTheSame(let set, let codec, let patient, let time):
      "\(set): \(codec): the chunk of group \(patient) at \(time) does not unpack to what was packed"
    }
  }
}
