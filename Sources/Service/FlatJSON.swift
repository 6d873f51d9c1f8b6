import Foundation

/// A flat JSON object from outside: texts, numbers, truth values and nulls under keys, nothing deeper.
struct FlatJSON {
  private enum Value: Decodable {
    case text(String)
    case truth(Bool)
    case number
    case null

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if value.decodeNil() {
        self = .null
      } else if let truth = try? value.decode(Bool.self) {
        self = .truth(truth)
      } else if let text = try? value.decode(String.self) {
        self = .text(text)
      } else {
        _ = try value.decode(Double.self)
        self = .number
      }
    }
  }

  private let fields: [String: Value]

  /// - Parameter limit: bytes at most.
  /// - Returns: nil where it is longer or anything else than such an object.
  init?(_ bytes: [UInt8], limit: Int) {
    guard bytes.count <= limit, let fields = try? JSONDecoder().decode([String: Value].self, from: Data(bytes)) else {
      return nil
    }
    self.fields = fields
  }

  /// A key that is not among those expected, the first in order; nil: there is none.
  func unknownKey(besides keys: [String]) -> String? { fields.keys.filter { !keys.contains($0) }.min() }

  func has(_ key: String) -> Bool { fields[key] != nil }

  /// nil where there is none, null or no text.
  func text(_ key: String) -> String? {
    if case .text(let text) = fields[key] { return text }
    return nil
  }

  /// nil where it is neither `true` nor `false`.
  func truth(_ key: String) -> Bool? {
    if case .truth(let truth) = fields[key] { return truth }
    return nil
  }

  /// A key of these whose value is there but is no text, the first in order; nil: there is none.
  func notText(_ keys: [String]) -> String? {
    keys.filter { key in
      switch fields[key] {
      case .text, .null, nil: false
      case .truth, .number: true
      }
    }.min()
  }
}
