/// A foreign format that can be turned into a recording; what each holds: docs/importing.md.
package enum ImportFormat: String, CaseIterable, Sendable {
  /// PhysioNet/CinC 2019: one `|`-separated file a patient, one row an hour.
  case psv
  /// WFDB numerics: a header with one or more signal files, or CSV numerics.
  case wfdb
  /// A table of seconds with columns such as `Solar8000/HR`.
  case vitalDB = "vitaldb"
  /// `export.xml` of Apple Health.
  case appleHealth = "apple-health"
  /// FHIR R4 Observations, one JSON resource a line.
  case fhir = "fhir-ndjson"
  /// HL7 v2 ORU^R01, with or without MLLP frames.
  case hl7 = "hl7v2"

  /// Endings of the files of this format, packed ones by the ending before `.gz` or `.zst`.
  package var endings: [String] {
    switch self {
    case .psv: [".psv"]
    case .wfdb: [".hea"]
    case .vitalDB: [".csv"]
    case .appleHealth: [".xml"]
    case .fhir: [".ndjson", ".jsonl"]
    case .hl7: [".hl7", ".oru"]
    }
  }

  /// Guessed from a file's name, or where that says nothing from its first bytes, unpacked; nil: neither is known.
  package static func guess(name: String, first bytes: [UInt8]) -> ImportFormat? {
    let plain = withoutPacking(name).lowercased()
    // Both are `.csv`; WFDB numerics say `Time [s]`.
    if plain.hasSuffix(".csv") { return bytes.starts(with: Array("Time [s]".utf8)) ? .wfdb : .vitalDB }
    if let named = allCases.first(where: { $0.endings.contains(where: plain.hasSuffix) }) { return named }
    let text = String(decoding: bytes.drop { $0 == 0xEF || $0 == 0xBB || $0 == 0xBF || $0 <= 32 }, as: UTF8.self)
    if text.hasPrefix("MSH") { return .hl7 }
    if text.hasPrefix("<") { return .appleHealth }
    if text.hasPrefix("{") { return .fhir }
    if text.hasPrefix("HR|O2Sat|") { return .psv }
    return nil
  }

  /// A name without `.gz`, `.zst` or `.zstd` at its end.
  package static func withoutPacking(_ name: String) -> String {
    for ending in [".gz", ".zst", ".zstd"] where name.hasSuffix(ending) { return String(name.dropLast(ending.count)) }
    return name
  }

  /// The last part of a path without its packing and its ending: the patient of a file that names none.
  package static func stem(_ path: String) -> String {
    let name = withoutPacking(path.split(separator: "/").last.map(String.init) ?? path)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
    return String(name[..<dot])
  }
}
