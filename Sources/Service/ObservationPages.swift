import AlertJournal
import Configuration
import HTTPAPI
import Instrumentation
import Pipeline
import SeriesStore
import Synchronization
import TabularFormats
import VitalModel

/// `/v1/patients` and `/v1/observations`: what is stored, page by page. Every access to patient data that is answered stands
/// in the audit chain first.
struct ObservationPages: Sendable {
  /// Patients of a page, at most and unless said.
  static let patientsMax = 10_000
  static let patientsDefault = 1000
  /// Bytes kept of what `X-Purpose` says.
  static let purposeMax = 200

  // Unowned: the service stops the server before it goes.
  private unowned let service: VigilService
  private let registry: VitalRegistry
  private let gate = ObservationGate()

  /// Adds the routes.
  static func add(to router: inout HTTPRouter, _ service: VigilService, registry: VitalRegistry) {
    let pages = ObservationPages(service: service, registry: registry)
    router.add("GET", "/v1/patients") { pages.guarded($0) { try pages.patients($0) } }
    router.add("GET", "/v1/observations") { pages.guarded($0) { try pages.observations($0) } }
  }

  private func guarded(_ request: HTTPRequest, _ answer: (HTTPRequest) throws -> HTTPResponse) -> HTTPResponse {
    if let refusal = APIAccess.refusal(request, service.configuration.withLock { $0 }) { return refusal }
    return gate.pass {
      do {
        return try answer(request)
      } catch let refusal as ObservationQuery.Refusal {
        return refusal.problem
      } catch {
        return .problem(503, "not readable", detail: "\(error)")
      }
    }
  }

  // MARK: Patients

  private func patients(_ request: HTTPRequest) throws -> HTTPResponse {
    if let other = request.query.first(where: { !["tenant", "limit", "cursor"].contains($0.name) }) {
      throw ObservationQuery.Refusal(
        title: "unknown parameter", detail: "`\(other.name.prefix(40))` is not among: cursor, limit, tenant")
    }
    let limit = request.query("limit").map { Int($0) ?? 0 } ?? ObservationPages.patientsDefault
    guard (1...ObservationPages.patientsMax).contains(limit) else {
      throw ObservationQuery.Refusal(
        title: "bad limit", detail: "limit must be a whole number from 1 to \(ObservationPages.patientsMax)")
    }
    guard let first = request.query("cursor").map({ UInt32($0) }) ?? 0 else {
      throw ObservationQuery.Refusal(title: "bad cursor", detail: "cursor must be one that an earlier page gave")
    }
    let directory = service.directory
    let count = UInt32(directory.counts.patients)
    let roster = directory.currentRoster.number
    var out = JSONText()
    var listed = 0
    var next: String?
    out.object { out in
      out.array("patients") { out in
        for number in first..<max(first, count) {
          guard let key = directory.patientKey(number), request.query("tenant").map({ $0 == key.tenant }) ?? true else {
            continue
          }
          guard listed < limit else {
            next = String(number)
            break
          }
          let facts = directory.patientFacts(number, roster: roster)
          out.object {
            $0.field("tenant", key.tenant)
            $0.field("patient", key.patient)
            $0.field("unit", facts.unit)
            $0.field("bed", facts.bed)
          }
          listed += 1
        }
      }
      out.field("next", next)
    }
    try record(request, "patients.read", "patients", "patients=\(listed)")
    return answer(.json(out.bytes), request, next: next)
  }

  // MARK: Observations

  private func observations(_ request: HTTPRequest) throws -> HTTPResponse {
    guard let format = ObservationFormat(request) else {
      throw ObservationQuery.Refusal(
        status: 406, title: "no such format", detail: ObservationFormat.hint)
    }
    let query = try ObservationQuery(request, service.directory, registry)
    guard service.sealer.isReady.load(ordering: .acquiring) else {
      var starting = HTTPResponse.problem(
        503, "starting", detail: "samples not sealed yet are still being read; ask again in a moment")
      starting.headers.append(("Retry-After", "1"))
      return starting
    }
    let store = service.store.store
    let page = try ObservationPage(query, service.sealer.sealer) { try SeriesReader(store) }
    var groups: [SeriesGroup] = []
    for group in page.rows.map(\.group) where !groups.contains(group) { groups.append(group) }
    let table = ObservationTable(groups: groups, directory: service.directory, registry: registry)
    var rows: [ObservationRow] = []
    rows.reserveCapacity(page.samples)
    for (group, row) in page.rows { try table.append(row, group, to: &rows) }
    let next = page.next?.text
    let body = try format.body(rows, table.names, next: next)
    try record(
      request, "observations.read", "patient \(query.patient)", detail(query, format, samples: page.samples))
    return answer(body, request, next: next)
  }

  private func detail(_ query: ObservationQuery, _ format: ObservationFormat, samples: Int) -> String {
    var words = ["format=\(format.rawValue)", "samples=\(samples)"]
    if !query.codes.isEmpty {
      words.append("codes=" + query.codes.map { registry[$0].key }.sorted().joined(separator: ","))
    }
    if query.from != .min { words.append("from=" + Timestamp.format(query.from)) }
    if query.to != .max { words.append("to=" + Timestamp.format(query.to)) }
    return words.joined(separator: " ")
  }

  // MARK: Both

  /// Without this no data leaves: a chain that cannot be written is an answer of 503.
  private func record(_ request: HTTPRequest, _ action: String, _ subject: String, _ detail: String) throws {
    let isKnown = service.configuration.withLock { $0.api.token != nil }
    try service.store.audit.record(
      AuditEntry(
        time: service.settings.clock.wallMilliseconds(), actor: isKnown ? "api.token" : "this machine", action: action,
        subject: subject, detail: request.peer.isEmpty ? detail : "\(detail) peer=\(request.peer)",
        reason: ObservationPages.purpose(request)))
  }

  /// As much of `X-Purpose` as is kept, cut between characters.
  private static func purpose(_ request: HTTPRequest) -> String {
    var kept = ""
    var bytes = 0
    for character in request.header("x-purpose") ?? "" {
      bytes += character.utf8.count
      if bytes > purposeMax { break }
      kept.append(character)
    }
    return kept
  }

  /// The address of the next page as RFC 8288 has it, for formats that have no place for it.
  private func answer(_ body: HTTPResponse, _ request: HTTPRequest, next: String?) -> HTTPResponse {
    guard let next else { return body }
    var answer = body
    let others = request.query.filter { $0.name != "cursor" }.map { "\($0.name)=\($0.value.percentEncoded)" }
    let query = (others + ["cursor=" + next.percentEncoded]).joined(separator: "&")
    answer.headers.append(("Link", "<\(request.path)?\(query)>; rel=\"next\""))
    return answer
  }
}
