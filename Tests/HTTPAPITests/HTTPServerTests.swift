import TestSupport
import Testing

@testable import HTTPAPI

@Suite("HTTP server", .timeLimit(.minutes(1)))
struct HTTPServerTests {
  private func serve(bodyBytesMax: Int = 1 << 20, threads: Int? = 2) throws -> HTTPServer {
    var router = HTTPRouter()
    router.add("GET", "/v1/patients/{patient}/alerts") { request in
      .text("\(request.parameters["patient"] ?? "?")|\(request.query("from") ?? "-")|\(request.peer)")
    }
    router.add("POST", "/v1/echo") { request in
      HTTPResponse(status: 201, headers: [("X-Count", String(request.body.count))], body: request.body)
    }
    return try HTTPServer(.init(bodyBytesMax: bodyBytesMax, threads: threads), router: router)
  }

  @Test("a free port is taken and told; paths, parameters and queries are decoded")
  func routes() throws {
    let server = try serve()
    #expect(server.address.port != 0)
    let answer = RawClient.request(server.address.port, "GET", "/v1/patients/p%2D017/alerts?from=a%20b+c&x")
    #expect(answer.httpStatus == 200)
    #expect(answer.httpBody == "p-017|a b c|127.0.0.1")
    #expect(answer.contains("Cache-Control: no-store"))
    server.stop()
  }

  @Test("bodies arrive whole, with a length or in pieces", arguments: [2, 1, nil])
  func bodies(threads: Int?) throws {
    let server = try serve(threads: threads)
    let body = String(repeating: "abcdefgh", count: 50_000)
    let answer = RawClient.request(server.address.port, "POST", "/v1/echo", body: body)
    #expect(answer.httpStatus == 201)
    #expect(answer.httpBody == body[...])
    let chunked = RawClient.exchange(
      server.address.port,
      "POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    #expect(chunked.httpStatus == 201)
    #expect(chunked.httpBody == "hello world")
    server.stop()
  }

  @Test("HEAD answers as GET without a body; unknown paths are 404, other methods 405 with Allow")
  func methods() throws {
    let server = try serve()
    let head = RawClient.request(server.address.port, "HEAD", "/v1/patients/p/alerts")
    #expect(head.httpStatus == 200)
    #expect(head.httpBody.isEmpty)
    let missing = RawClient.request(server.address.port, "GET", "/v1/nothing")
    #expect(missing.httpStatus == 404)
    #expect(missing.contains("Content-Type: application/problem+json"))
    #expect(missing.httpBody == #"{"type":"about:blank","title":"not found","status":404}"#)
    let wrong = RawClient.request(server.address.port, "DELETE", "/v1/patients/p/alerts")
    #expect(wrong.httpStatus == 405)
    #expect(wrong.contains("Allow: GET, HEAD"))
    server.stop()
  }

  @Test("a body over the limit is 413, announced or not")
  func tooLarge() throws {
    let server = try serve(bodyBytesMax: 10)
    #expect(RawClient.request(server.address.port, "POST", "/v1/echo", body: "0123456789").httpStatus == 201)
    let announced = RawClient.exchange(
      server.address.port, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")
    #expect(announced.httpStatus == 413)
    let chunked = RawClient.exchange(
      server.address.port,
      "POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "b\r\n01234567890\r\n0\r\n\r\n")
    #expect(chunked.httpStatus == 413)
    server.stop()
  }

  @Test(
    "two readings of where a request ends are refused",
    arguments: [
      "Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3\r\ncontent-length: 4",
      "Content-Length: 3\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
      "Host: y", "Content-Length: +3", "Content-Length: 3, 3",
    ])
  func ambiguousFraming(headers: String) throws {
    let server = try serve()
    let answer = RawClient.exchange(
      server.address.port,
      "POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(headers)\r\n\r\nabc")
    #expect(answer.httpStatus == 400)
    server.stop()
  }

  @Test(
    "paths with broken, slashed or control escapes are 400",
    arguments: ["/a%2", "/a%zz", "/a%2Fb", "/a%00", "/%2E%2E/x", "/a%ff"])
  func badPaths(path: String) throws {
    let server = try serve()
    #expect(RawClient.request(server.address.port, "GET", path).httpStatus == 400)
    #expect(RawClient.request(server.address.port, "GET", "/v1/patients/p/alerts?from=%0").httpStatus == 400)
    server.stop()
  }

  @Test("the port is free again after stop, and taken while it runs")
  func stopping() throws {
    let server = try serve()
    let address = server.address
    #expect(throws: HTTPServerError.self) { try HTTPServer(.init(bind: address), router: HTTPRouter()) }
    server.stop()
    server.stop()
    let again = try HTTPServer(.init(bind: address), router: HTTPRouter())
    again.stop()
  }

  @Test("addresses to listen on are numeric and complete")
  func addresses() {
    #expect(BindAddress("127.0.0.1:8080")?.description == "127.0.0.1:8080")
    #expect(BindAddress("localhost:0")?.isLoopback == true)
    #expect(BindAddress("[::1]:80")?.description == "[::1]:80")
    #expect(BindAddress("0.0.0.0:80")?.isLoopback == false)
    for bad in [
      "", "127.0.0.1", ":80", "::1:80", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:+1", "ward:80", "[127.0.0.1]:1",
    ] {
      #expect(BindAddress(bad) == nil, "\(bad)")
    }
  }

  @Test("health pages: alive always, ready only without reasons, metrics as given")
  func health() throws {
    var router = HTTPRouter()
    HealthPages.add(
      to: &router, unreadyReasons: { ["broker \"a\" not connected", "journal not synced"] },
      metrics: { Array("vigil_up 1\n".utf8) })
    let server = try HTTPServer(.init(), router: router)
    let port = server.address.port
    #expect(RawClient.request(port, "GET", "/healthz").httpStatus == 200)
    let unready = RawClient.request(port, "GET", "/readyz")
    #expect(unready.httpStatus == 503)
    #expect(unready.httpBody == #"{"ready":false,"reasons":["broker \"a\" not connected","journal not synced"]}"#)
    let metrics = RawClient.request(port, "GET", "/metrics")
    #expect(metrics.contains("Content-Type: text/plain; version=0.0.4"))
    #expect(metrics.httpBody == "vigil_up 1\n")
    server.stop()
    var ready = HTTPRouter()
    HealthPages.add(to: &ready, unreadyReasons: { [] }, metrics: { [] })
    let other = try HTTPServer(.init(), router: ready)
    #expect(RawClient.request(other.address.port, "GET", "/readyz").httpStatus == 200)
    other.stop()
  }
}
