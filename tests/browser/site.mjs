// What lies between a visitor and the server: a page of somebody else's, and the way to the server, on
// which everything can go wrong.
import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';

async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

// A web site on an origin of its own.
export class Site {
  static async start() {
    const site = new Site();
    site.pages = new Map();
    site.server = createServer((request, response) => {
      const page = site.pages.get(request.url.split('?')[0]);
      if (page)
        response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', ...page.headers });
      else response.writeHead(request.url === '/favicon.ico' ? 204 : 404);
      response.end(page?.html);
    });
    site.url = await listening(site.server);
    return site;
  }

  // The page at that path, with the widget of that server in it.
  put(
    path,
    server,
    { attributes = '', head = '', body = '<h1>A page</h1>', lang = 'en', headers = {} } = {},
  ) {
    const html = `<!doctype html>
<html lang="${lang}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>A site</title>${head}</head>
<body>${body}<script src="${server}/widget.js" ${attributes}></script></body></html>`;
    this.pages.set(path, { html, headers });
    return this.url + path;
  }

  // Any other file.
  add(path, type, html) {
    this.pages.set(path, { html, headers: { 'Content-Type': type } });
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

// Passes requests on to a server, keeps them, and breaks what it is told to break.
export class Way {
  static async to(url) {
    const way = new Way();
    way.target = new URL(url);
    // Method, path, headers and body.
    way.requests = [];
    // Requests whose path has this in it reach the server, and their answers nobody.
    way.losing = null;
    // Once this text has passed, the connection ends.
    way.cut_after = null;
    way.server = createServer((request, response) => void way.pass(request, response));
    way.url = await listening(way.server);
    return way;
  }

  async pass(request, response) {
    let body = '';
    request.setEncoding('utf8');
    for await (const piece of request) body += piece;
    const { method, url: path, headers } = request;
    this.requests.push({ method, path, headers, body });
    const lost = this.losing && path.includes(this.losing);
    if (lost) this.losing = null;
    const onward = forward(
      { host: this.target.hostname, port: this.target.port, method, path, headers },
      (answer) => {
        if (lost) {
          // It has come to the end of its work.
          answer.resume().on('end', () => response.destroy());
          return;
        }
        response.writeHead(answer.statusCode, answer.headers);
        let passed = '';
        answer.on('data', (piece) => {
          response.write(piece);
          passed += piece;
          if (!this.cut_after || !passed.includes(this.cut_after)) return;
          this.cut_after = null;
          // What was written arrives before the end does.
          response.socket?.end();
          onward.destroy();
        });
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(body);
  }

  // Those to a path with that in it.
  to(part) {
    return this.requests.filter(({ path }) => path.includes(part));
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
