import ChunkCoding
import Compression
import Glibc
import VitalModel

/// Vitals by name, numbered alike in every set, so that one training serves several.
final class StorageNames {
  private(set) var keys: [String] = []
  private var codes: [String: VitalCode] = [:]

  func code(_ key: String) -> VitalCode {
    if let known = codes[key] { return known }
    let code = VitalCode(index: UInt16(keys.count))
    keys.append(key)
    codes[key] = code
    return code
  }

  func key(_ code: VitalCode) -> String? { Int(code.index) < keys.count ? keys[Int(code.index)] : nil }
}

/// One column of a group.
struct StorageColumn {
  /// As the source calls it.
  var title: String
  var column: ChunkColumn
  /// One a row, exactly as received; ``missing`` where the row has none.
  var values: [DecimalValue] = []

  static let missing = DecimalValue(mantissa: .min)
}

/// What one device sent of one person: values that share their stamps.
struct StorageGroup {
  /// Who, counted from 0 in the order they appear: several recordings may be one person's.
  var subject: Int
  var patient: String
  /// Event times, ms.
  var times: [Int64] = []
  var columns: [StorageColumn]

  var sampleCount: Int {
    columns.reduce(0) { $0 + $1.values.reduce(0) { $0 + ($1 == StorageColumn.missing ? 0 : 1) } }
  }
}

/// One source in one stamping.
struct StorageSet {
  var name: String
  /// `grid` as the source stamps it; `jitter` with some ms of noise, as a network adds it.
  var stamping: String
  /// Learned from: every second person, and for synthetic sets another seed.
  var training: [StorageGroup]
  /// Measured.
  var test: [StorageGroup]
  /// Bits of the noise in one stamp, where the generator knows it.
  var stampNoiseBits: Double?
}

enum StorageSetError: Error, CustomStringConvertible {
  case noColumn(String, path: String)

  var description: String {
    switch self {
    case .noColumn(let name, let path): "\(path): no column `\(name)` in its first line"
    }
  }
}

/// The collected recordings, with every column they have.
struct StorageRecordings {
  let folder: String
  let names: StorageNames
  static let sets = [
    "bidmc_numerics", "exam_stress", "stress_predict", "eicu_demo_nibp", "big_ideas_cgm", "cinc2015_alarms",
  ]
  /// Columns called other than the vital they hold. What is in neither list is a vital of its own name.
  private static let keys = [
    "skin_temp_c": "skin_temp", "glucose_mgdl": "glucose", "resp_est": "resp", "hr2": "hr", "pr_abp": "pr",
    "age_ecg1": "beat_age", "age_ecg2": "beat_age", "age_pleth": "pulse_age", "age_abp": "pulse_age",
  ]

  /// Both stampings of one set; nil where it is not there.
  func load(_ name: String) throws -> [StorageSet]? {
    let path = "\(folder)/\(name)/vitals.csv.zst"
    guard access(path, R_OK) == 0 else { return nil }
    let groups = try groups(path, subjects: try subjects("\(folder)/\(name)/patients.csv"))
    return [
      StorageRecordings.split(name, "grid", groups),
      StorageRecordings.split(name, "jitter", groups.enumerated().map { StorageStamps.jittered($1, seed: UInt64($0)) }),
    ]
  }

  /// Every second person is learned from; nobody is on both sides.
  private static func split(_ name: String, _ stamping: String, _ groups: [StorageGroup]) -> StorageSet {
    StorageSet(
      name: name, stamping: stamping, training: groups.filter { $0.subject % 2 == 1 },
      test: groups.filter { $0.subject % 2 == 0 })
  }

  private func groups(_ path: String, subjects: [String: String]) throws -> [StorageGroup] {
    var lines = StorageLines(try StorageRecordings.read(path))
    let head = lines.next() ?? []
    guard let timeAt = head.firstIndex(of: "time_s") else { throw StorageSetError.noColumn("time_s", path: path) }
    let valuesAt = Array((timeAt + 1)..<head.count)
    var groups: [StorageGroup] = []
    var order: [String: Int] = [:]
    var places: [String: Int] = [:]
    while let fields = lines.next() {
      guard fields.count == head.count, let time = DecimalValue(fields[timeAt])?.scaled(toExponent: -3) else {
        continue
      }
      let patient = fields[0]
      let subject = subjects[patient] ?? patient
      if order[subject] == nil { order[subject] = order.count }
      let place = places[patient] ?? groups.count
      if place == groups.count {
        places[patient] = place
        groups.append(
          StorageGroup(subject: order[subject] ?? 0, patient: patient, columns: columns(valuesAt.map { head[$0] })))
      }
      let values = valuesAt.map { DecimalValue(fields[$0]) ?? StorageColumn.missing }
      guard values.contains(where: { $0 != StorageColumn.missing }) else { continue }
      groups[place].times.append(StorageStamps.epoch + time)
      for index in values.indices { groups[place].columns[index].values.append(values[index]) }
    }
    for place in groups.indices {
      groups[place].columns.removeAll { $0.values.allSatisfy { $0 == StorageColumn.missing } }
    }
    return groups.filter { !$0.times.isEmpty }
  }

  /// Columns of one vital are told apart by their source.
  private func columns(_ titles: [String]) -> [StorageColumn] {
    var sources: [String: UInt16] = [:]
    return titles.map { title in
      let key = StorageRecordings.keys[title] ?? title
      let source = sources[key, default: 0]
      sources[key] = source + 1
      return StorageColumn(title: title, column: ChunkColumn(code: names.code(key), unit: 0, source: source))
    }
  }

  /// Recording → person, where the source says who is who.
  private func subjects(_ path: String) throws -> [String: String] {
    guard access(path, R_OK) == 0 else { return [:] }
    var lines = StorageLines(try StorageRecordings.read(path))
    let head = lines.next() ?? []
    guard let at = head.firstIndex(where: { $0 == "subject" || $0 == "person" }) else { return [:] }
    var subjects: [String: String] = [:]
    while let fields = lines.next() { if fields.count == head.count { subjects[fields[0]] = fields[at] } }
    return subjects
  }

  static func read(_ path: String) throws -> [UInt8] {
    var source = try openByteSource(path: path)
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = try part.withUnsafeMutableBytes { try source.read(into: $0) }
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
  }
}

/// Lines of a plain CSV without quotes.
struct StorageLines {
  private let bytes: [UInt8]
  private var at = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func next() -> [String]? {
    guard at < bytes.count else { return nil }
    var fields: [String] = []
    var start = at
    while at < bytes.count, bytes[at] != UInt8(ascii: "\n") {
      if bytes[at] == UInt8(ascii: ",") {
        fields.append(String(decoding: bytes[start..<at], as: UTF8.self))
        start = at + 1
      }
      at += 1
    }
    var end = at
    if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    fields.append(String(decoding: bytes[start..<end], as: UTF8.self))
    at += 1
    return fields
  }
}
