# The files, user and entry point of `make image`, for those who build with an engine:
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty --abbrev=12) --build-arg REVISION=$(git rev-parse HEAD) .
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG TARGETARCH
ARG VERSION=unknown
WORKDIR /src
COPY . .
RUN make image-root ARCHS=$TARGETARCH VERSION=$VERSION REVISION= SOURCE_DATE_EPOCH=0 BIN=/out

FROM scratch
ARG VERSION=unknown
ARG REVISION
LABEL org.opencontainers.image.title="asg-autoscaler" \
      org.opencontainers.image.description="A Kubernetes node autoscaler for EC2 Auto Scaling groups" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/asg-autoscaler/asg-autoscaler" \
      org.opencontainers.image.documentation="https://github.com/asg-autoscaler/asg-autoscaler/blob/main/README.md" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
COPY --from=build /out/root/ /
ENV PATH=/
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/cluster-autoscaler"]
