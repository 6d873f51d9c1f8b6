import HTTPAPI
import Pipeline
import VitalModel

/// Where the page after this one begins: after the row of this time and device.
struct ObservationCursor: Hashable, Sendable {
  var time: Int64
  /// Directory number.
  var device: UInt32

  init(time: Int64, device: UInt32) {
    self.time = time
    self.device = device
  }

  init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "1", let time = Int64(parts[1]), let device = UInt32(parts[2]) else {
      return nil
    }
    self.init(time: time, device: device)
  }

  var text: String { "1.\(time).\(device)" }
}

/// What is asked of one patient's samples.
struct ObservationQuery: Sendable {
  /// Samples of a page, at most and unless said.
  static let limitMax = 100_000
  static let limitDefault = 10_000
  /// Rows looked at for one page: a page ends there even if it holds less, so that no request takes long.
  static let rowsMax = 500_000

  /// Directory number.
  var patient: UInt32
  /// Empty: all.
  var codes: Set<VitalCode> = []
  /// Event times, ms; `to` is not included.
  var from = Int64.min
  var to = Int64.max
  var limit = limitDefault
  var withSuperseded = false
  var after: ObservationCursor?

  /// Why a query is not answered.
  struct Refusal: Error {
    var status = 422
    var title: String
    var detail: String
    var problem: HTTPResponse { .problem(status, title, detail: detail) }
  }

  private static let known: Set = [
    "patient", "tenant", "code", "from", "to", "limit", "superseded", "cursor", "format",
  ]

  init(_ request: HTTPRequest, _ directory: Directory, _ registry: VitalRegistry) throws(Refusal) {
    if let other = request.query.first(where: { !ObservationQuery.known.contains($0.name) }) {
      throw Refusal(
        title: "unknown parameter",
        detail: "`\(other.name.prefix(40))` is not among: \(ObservationQuery.known.sorted().joined(separator: ", "))")
    }
    patient = try ObservationQuery.patient(request, directory)
    for name in request.query.filter({ $0.name == "code" }).flatMap({ $0.value.split(separator: ",") }) {
      guard let code = registry.code(String(name)) else {
        throw Refusal(title: "unknown code", detail: "`\(name.prefix(40))` is no vital of the registry")
      }
      codes.insert(code)
    }
    from = try ObservationQuery.time(request, "from") ?? from
    to = try ObservationQuery.time(request, "to") ?? to
    if let text = request.query("limit") {
      guard let limit = Int(text), (1...ObservationQuery.limitMax).contains(limit) else {
        throw Refusal(
          title: "bad limit", detail: "limit must be a whole number from 1 to \(ObservationQuery.limitMax)")
      }
      self.limit = limit
    }
    if let text = request.query("superseded") {
      guard let isWanted = Bool(text) else {
        throw Refusal(title: "bad superseded", detail: "superseded must be true or false")
      }
      withSuperseded = isWanted
    }
    if let text = request.query("cursor") {
      guard let cursor = ObservationCursor(text) else {
        throw Refusal(title: "bad cursor", detail: "cursor must be one that an earlier page gave")
      }
      after = cursor
    }
  }

  private static func patient(_ request: HTTPRequest, _ directory: Directory) throws(Refusal) -> UInt32 {
    guard let id = request.query("patient"), !id.isEmpty else {
      throw Refusal(title: "no patient", detail: "name one with patient=ID; GET /v1/patients lists them")
    }
    let tenant = request.query("tenant")
    let found = (0..<UInt32(directory.counts.patients)).filter { number in
      guard let key = directory.patientKey(number) else { return false }
      return key.patient == id && (tenant == nil || key.tenant == tenant)
    }
    guard let first = found.first else {
      throw Refusal(status: 404, title: "no such patient", detail: "GET /v1/patients lists those known")
    }
    guard found.count == 1 else {
      throw Refusal(title: "which tenant", detail: "several tenants have this patient id; name one with tenant=NAME")
    }
    return first
  }

  private static func time(_ request: HTTPRequest, _ name: String) throws(Refusal) -> Int64? {
    guard let text = request.query(name) else { return nil }
    guard let time = Timestamp.parse(text) else {
      throw Refusal(title: "bad \(name)", detail: "\(name) must be a time such as 2026-11-20T22:38:00Z")
    }
    return time
  }
}
