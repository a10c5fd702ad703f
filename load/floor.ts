// The floor: what node:http alone can do with requests and answers of the same sizes. It runs in a process of its own,
// like the server, and takes the same time from the same clients. The path of a request is the size of its answer.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let filler = Buffer.alloc(64 * 1024, 'x');

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    Buffer.concat(chunks);
    const size = Number(request.url?.slice(1));
    if (filler.length < size) filler = Buffer.alloc(size, 'x');
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': size });
    response.end(filler.subarray(0, size));
  });
});
// The clients keep their connections through a whole round; the default of 5 s could end one in the middle.
server.keepAliveTimeout = 65_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// The floor ends with the load test, however that ends.
process.stdin.on('end', () => process.exit(0)).resume();
