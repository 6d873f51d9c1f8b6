import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import SeriesStore
import VitalModel

/// `vigil store stats`: what a store holds, what it takes, and how long the disk will do.
enum StoreCommand {
  static let command = Command(
    name: "store", summary: "what a store holds: bytes a sample, space by family, growth and forecast",
    example: "vigil store stats --store var/vigil",
    flags: StoreAccess.flags + [Flag("--json", "as one JSON object")], positional: "stats", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    guard arguments.positional == ["stats"] else {
      throw CommandFailure(ExitCode.usage, "usage: vigil store stats [--store PATH] [--json]")
    }
    let access = try StoreAccess(arguments)
    let report = try StoreReport(access)
    if arguments.has("--json") { printLine(report.json) } else { for line in report.lines { printLine(line) } }
    return ExitCode.ok
  }
}

/// The figures of one store.
struct StoreReport {
  struct Space {
    var family: String
    /// Live table files, bytes.
    var bytes: Int
  }

  let figures: SeriesFigures
  let families: [Space]
  /// The write-ahead log with what is kept of it for the archive, bytes.
  let logBytes: Int
  let disk: DiskSpace?
  private let names: [VitalCode: String]

  init(_ access: StoreAccess) throws(CommandFailure) {
    let progress = ProgressBar(total: 0, label: "chunks counted")
    defer { progress.finish() }
    let store = access.store.store
    figures = try access.reading { try SeriesReader(store).figures { progress.advance(to: $0) } }
    families = try access.reading {
      try store.familyNames().filter { $0 != "default" }.map { name in
        Space(family: name, bytes: Int(clamping: try store.liveFileBytes(try store.family(name))))
      }.sorted { ($1.bytes, $0.family) < ($0.bytes, $1.family) }
    }
    logBytes = StoreReport.logBytes(access.path)
    disk = DiskSpace(path: access.path)
    var names: [VitalCode: String] = [:]
    for code in figures.vitals.keys where Int(code.index) < access.registry.vitals.count {
      names[code] = access.registry[code].key
    }
    self.names = names
  }

  private static func logBytes(_ path: String) -> Int {
    // Logs that are done with wait in the folder `archive` until they are copied.
    [path, path + "/archive"].reduce(0) { sum, folder in
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return files.filter { $0.hasSuffix(".log") }.reduce(sum) { sum, name in
        let attributes = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
        return sum + ((attributes?[.size] as? NSNumber)?.intValue ?? 0)
      }
    }
  }

  var totalBytes: Int { families.reduce(logBytes) { $0 + $1.bytes } }

  /// Chunks and rollups a day, bytes.
  var growthPerDay: Double? {
    guard let chunks = figures.growthPerDay else { return nil }
    return chunks * (1 + rollupShare)
  }

  /// Bytes of rollups beside those of the chunks.
  var rollupShare: Double { figures.all.bytes > 0 ? Double(figures.rollupBytes) / figures.all.bytes : 0 }

  /// Days until the disk is full if the store goes on growing and nothing else does.
  var daysLeft: Double? {
    guard let growth = growthPerDay, growth > 0, let disk else { return nil }
    return Double(disk.freeBytes) / growth
  }

  private var vitals: [(name: String, share: SeriesFigures.Share)] {
    figures.vitals.map { code, share in (names[code] ?? "\(code.index)", share) }.sorted {
      ($1.share.samples, $0.name) < ($0.share.samples, $1.name)
    }
  }

  // MARK: Words

  var lines: [String] {
    var lines: [String] = []
    if let first = figures.firstTime, let last = figures.lastTime {
      lines.append(
        "\(figures.all.samples) samples in \(figures.rows) rows of \(figures.groups) patients and devices, "
          + "\(Timestamp.format(first)) to \(Timestamp.format(last))")
      lines.append(
        "\(figures.chunks) chunks, \(StoreReport.percent(figures.smallChunks, of: figures.chunks)) small; "
          + "\(StoreReport.perSample(figures.all)) bytes a sample; rollups of \(figures.rollupDays) days add "
          + StoreReport.percent(rollupShare))
    } else {
      lines.append("no samples are sealed yet: open rows are in the journal")
    }
    for (codec, found) in figures.codecs.sorted(by: { $0.key < $1.key }) {
      lines.append("codec \(codec): \(found.chunks) chunks, \(StoreReport.perSample(found.share)) bytes a sample")
    }
    if !vitals.isEmpty {
      lines.append("")
      let rows = vitals.map { vital in
        [
          vital.name, "\(vital.share.samples)", ByteSize.format(Int(vital.share.bytes)),
          StoreReport.perSample(vital.share),
        ]
      }
      lines.append(TextTable.format([["VITAL", "SAMPLES", "BYTES", "A SAMPLE"]] + rows))
    }
    lines.append("")
    let spaces = families + [Space(family: "write-ahead log", bytes: logBytes)]
    lines.append(TextTable.format([["FAMILY", "FILES"]] + spaces.map { [$0.family, ByteSize.format($0.bytes)] }))
    lines.append("")
    lines.append(forecast)
    return lines
  }

  private var forecast: String {
    guard let disk else { return "the disk cannot be asked for its free space" }
    let free = "\(ByteSize.format(disk.freeBytes)) free"
    guard let growth = growthPerDay, let daysLeft else { return "\(free); no growth to speak of: less than two days" }
    return "\(free); grows \(ByteSize.format(Int(growth))) a day by the last week: full in \(Int(daysLeft)) days, "
      + "retention aside"
  }

  private static func perSample(_ share: SeriesFigures.Share) -> String {
    share.bytesPerSample.map { fixed($0, places: 3) } ?? "-"
  }

  private static func percent(_ part: Int, of whole: Int) -> String {
    percent(whole > 0 ? Double(part) / Double(whole) : 0)
  }

  private static func percent(_ share: Double) -> String { fixed(share * 100, places: 1) + " %" }

  private static func fixed(_ value: Double, places: Int) -> String { String(format: "%.\(places)f", value) }

  // MARK: JSON

  var json: String {
    var out = JSONText()
    out.object {
      $0.field("samples", figures.all.samples)
      $0.field("rows", figures.rows)
      $0.field("groups", figures.groups)
      $0.field("first_time", figures.firstTime.map { Timestamp.format($0) })
      $0.field("last_time", figures.lastTime.map { Timestamp.format($0) })
      $0.field("chunks", figures.chunks)
      $0.field("small_chunks", figures.smallChunks)
      $0.field("chunk_bytes", Int(figures.all.bytes))
      $0.field("bytes_per_sample", figures.all.bytesPerSample)
      $0.field("rollup_days", figures.rollupDays)
      $0.field("rollup_bytes", figures.rollupBytes)
      $0.array("codecs") { out in
        for (codec, found) in figures.codecs.sorted(by: { $0.key < $1.key }) {
          out.rawElement(
            StoreReport.object {
              $0.field("codec", Int(codec))
              $0.field("chunks", found.chunks)
              $0.field("samples", found.share.samples)
              $0.field("bytes_per_sample", found.share.bytesPerSample)
            })
        }
      }
      $0.array("vitals") { out in
        for vital in vitals {
          out.rawElement(
            StoreReport.object {
              $0.field("code", vital.name)
              $0.field("samples", vital.share.samples)
              $0.field("bytes", Int(vital.share.bytes))
              $0.field("bytes_per_sample", vital.share.bytesPerSample)
            })
        }
      }
      $0.object("families") { out in for family in families { out.field(family.family, family.bytes) } }
      $0.field("log_bytes", logBytes)
      $0.field("total_bytes", totalBytes)
      $0.field("growth_bytes_per_day", growthPerDay)
      $0.field("free_bytes", disk?.freeBytes)
      $0.field("days_left", daysLeft)
    }
    return out.text
  }

  private static func object(_ body: (inout JSONText) -> Void) -> String {
    var out = JSONText()
    out.object(body)
    return out.text
  }
}

/// Room on the disk a path lies on.
struct DiskSpace {
  let freeBytes: Int
  let totalBytes: Int

  /// - Returns: nil if the system does not say.
  init?(path: String) {
    guard let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path),
      let free = (attributes[.systemFreeSize] as? NSNumber)?.intValue,
      let total = (attributes[.systemSize] as? NSNumber)?.intValue, total > 0
    else { return nil }
    freeBytes = free
    totalBytes = total
  }

  var freeShare: Double { Double(freeBytes) / Double(totalBytes) }
}
