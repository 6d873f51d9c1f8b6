import Compression
import VitalModel

/// WFDB records of numerics: `NAME.hea` with its signal files beside it, or numerics as CSV. The record's name is the patient.
///
/// Signals are known by their descriptions. A record of several segments, several samples a frame, and formats other than
/// 16, 24, 32, 61, 80 and 212 are refused as a whole.
struct WFDBImporter: Importer {
  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    if ImportFormat.withoutPacking(file.name).lowercased().hasSuffix(".csv") {
      return try TimedTableImporter(names: .wfdb).read(file, into: sink)
    }
    let header = try header(file, sink)
    let signals = try header.signals.map { (signal) throws(RecordingError) in try meaning(signal, sink) }
    // Signals of one file take turns in it.
    var files: [(samples: WFDBSamples, count: Int, name: String)] = []
    let folder = file.name.split(separator: "/", omittingEmptySubsequences: false).dropLast().map { $0 + "/" }.joined()
    for signal in header.signals {
      if let last = files.last, last.name == folder + signal.file {
        files[files.count - 1].count += 1
        continue
      }
      files.append((try open(folder + signal.file, signal), 1, folder + signal.file))
    }
    let start = header.start ?? sink.options.epoch
    var frame = 0
    while frame < header.frames ?? .max {
      var place = 0
      var isComplete = true
      guard let offset = header.offset(ofFrame: frame), let time = CellText.bounded(start + offset) else {
        sink.refuse(0, "time", .impossibleTime)
        break
      }
      for file in files {
        for _ in 0..<file.count {
          guard let sample = try next(file) else {
            isComplete = false
            break
          }
          try take(sample, header.signals[place], signals[place], header.name, time, sink)
          place += 1
        }
        if !isComplete { break }
      }
      guard isComplete else {
        if header.frames != nil { throw .truncated(file: files[0].name, line: frame) }
        break
      }
      sink.countRecord()
      frame += 1
    }
  }

  private func take(
    _ sample: Int64, _ signal: WFDBHeader.Signal, _ meaning: Meaning, _ patient: String, _ time: Int64,
    _ sink: ImportSink
  ) throws(RecordingError) {
    guard sample != signal.format.invalid else { return sink.omit(.notMeasured) }
    switch meaning {
    case .unknown: sink.omit(unknown: signal.description)
    case .unknownUnit: sink.refuse(0, signal.description, .unknownUnit)
    case .vital(let vital):
      guard let value = WFDBScale.value(sample, baseline: signal.baseline, gain: signal.gain) else {
        return sink.refuse(0, signal.description, .malformed)
      }
      try sink.add(patient: patient, device: "", time: time, vital, value, line: 0)
    }
  }

  private func header(_ file: RecordingFile, _ sink: ImportSink) throws(RecordingError) -> WFDBHeader {
    var lines = try ImportedLines(file, sink: sink)
    var texts: [(number: Int, text: String)] = []
    while let line = try lines.next() {
      guard texts.count <= WFDBHeader.signalsMax * 2 else {
        throw .badCell(file: file.name, line: lines.number, column: "signals")
      }
      texts.append((lines.number, line.string))
    }
    do throws(WFDBHeader.Problem) {
      return try WFDBHeader(texts, epoch: sink.options.epoch)
    } catch {
      switch error {
      case .segments: throw .unsupported(file: file.name, what: "a record of several segments; import each by itself")
      case .line(let number):
        throw .badCell(
          file: file.name, line: number,
          column: "this line of the header (numerics in formats 16, 24, 32, 61, 80 and 212 only)")
      }
    }
  }

  /// Signal files are bytes as they are: the first ones could look like a packing.
  private func open(_ path: String, _ signal: WFDBHeader.Signal) throws(RecordingError) -> WFDBSamples {
    do {
      return try WFDBSamples(try FileSource(path: path), format: signal.format, offset: signal.byteOffset)
    } catch {
      throw RecordingError(error, file: path, line: 0)
    }
  }

  private func next(_ file: (samples: WFDBSamples, count: Int, name: String)) throws(RecordingError) -> Int64? {
    do { return try file.samples.sample() } catch { throw RecordingError(error, file: file.name, line: 0) }
  }

  private enum Meaning {
    case vital(ImportedVital)
    case unknown
    case unknownUnit
  }

  /// By the description, blanks aside, and the header's unit; a unit that a map gives stands above it.
  private func meaning(_ signal: WFDBHeader.Signal, _ sink: ImportSink) throws(RecordingError) -> Meaning {
    let map = TimedTableImporter.Names.wfdb.map
    let name = signal.description.lowercased()
    let short = name.filter { !$0.isWhitespace }
    let isMapped = sink.options.columns.targets[name] != nil
    guard let known = try sink.vital(named: isMapped || map.targets[name] != nil ? name : short, map) else {
      return .unknown
    }
    let unit = signal.unit
    if isMapped || unit.isEmpty || unit == "NU" { return .vital(known) }
    let ours = WFDBImporter.units[unit.lowercased()].map { [$0] } ?? []
    return sink.registry.vital(known.code, unit: [unit] + ours, source: known.source).map { .vital($0) } ?? .unknownUnit
  }

  /// Units as monitors write them into headers, lower case.
  private static let units = [
    "bpm": "/min", "pm": "/min", "beats/min": "/min", "breaths/min": "/min", "rpm": "/min", "mmhg": "mm[Hg]",
    "degc": "Cel", "deg_c": "Cel", "degf": "[degF]", "percent": "%",
  ]
}

extension TimedTableImporter.Names {
  /// Numerics of bedside monitors as PhysioNet's records name them, blanks left out.
  static let wfdb = TimedTableImporter.Names([
    ("hr", "hr", "/min", "ecg"), ("pulse", "pr", "/min", "pleth"), ("spo2", "spo2", "%", "pleth"),
    ("%spo2", "spo2", "%", "pleth"), ("resp", "resp", "/min", "impedance"), ("rr", "resp", "/min", "impedance"),
    ("abpsys", "abp_sys", "mm[Hg]", "art"), ("abpdias", "abp_dia", "mm[Hg]", "art"),
    ("abpmean", "abp_mean", "mm[Hg]", "art"), ("artsys", "abp_sys", "mm[Hg]", "art"),
    ("artdias", "abp_dia", "mm[Hg]", "art"), ("artmean", "abp_mean", "mm[Hg]", "art"),
    ("nbpsys", "sbp", "mm[Hg]", "cuff"), ("nbpdias", "dbp", "mm[Hg]", "cuff"), ("nbpmean", "map", "mm[Hg]", "cuff"),
    ("temp", "temp", "Cel", ""), ("etco2", "etco2", "mm[Hg]", "co2"),
  ])
}
